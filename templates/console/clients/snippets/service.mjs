// npm install openid-client
import * as client from 'openid-client';

{% if pinned_to == "client_secret_basic" %}const method = client.ClientSecretBasic(process.env.CLIENT_SECRET); // this client is pinned to it
const config = await client.discovery(new URL({{ is.issuer }}), {{ is.client_id }}, undefined, method);
{% else %}const config = await client.discovery(new URL({{ is.issuer }}), {{ is.client_id }}, process.env.CLIENT_SECRET);
{% endif %}{% if has_resource %}const tokens = await client.clientCredentialsGrant(config, { scope: {{ is.scope }}, resource: {{ is.resource }} });
{% else %}const tokens = await client.clientCredentialsGrant(config, { scope: {{ is.scope }} });
{% endif %}// Send "Authorization: Bearer " and tokens.access_token until tokens.expiresIn() seconds are over; then ask again.
