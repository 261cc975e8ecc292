{% if pinned_to == "client_secret_post" %}curl --fail-with-body --silent --data-urlencode {{ is.client_id_field }} --data-urlencode "client_secret=$CLIENT_SECRET" \
{% else %}curl --fail-with-body --silent --user {{ is.basic }} \
{% endif %}    --data grant_type=client_credentials --data-urlencode {{ is.scope_field }} \
{% if has_resource %}    --data-urlencode {{ is.resource_field }} \
{% endif %}    {{ is.token_endpoint }}
