{% if pinned_to == "client_secret_post" %}curl --fail-with-body --silent --data-urlencode {{ is.client_id_field }} --data-urlencode "client_secret=$CLIENT_SECRET" \
{% else %}curl --fail-with-body --silent --user {{ is.basic }} \
{% endif %}    --data-urlencode "token=$TOKEN" \
    {{ is.introspection_endpoint }}
