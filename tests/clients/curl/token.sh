# A service asks for a token for itself (RFC 6749 §4.4), by HTTP Basic: the page of a client of this kind shows it.
curl --fail-with-body --silent --user "$CLIENT_ID:$CLIENT_SECRET" \
    --data grant_type=client_credentials --data-urlencode "scope=$SCOPE" \
    --data-urlencode "resource=$RESOURCE" \
    "$ISSUER/oauth2/token"
