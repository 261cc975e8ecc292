"""Uses what openapi-python-client made of the document, against the service: prints what the calls came to."""

import json
import os

from admin_api import AuthenticatedClient
from admin_api.api.users import create_user, deactivate_user, list_users
from admin_api.models import CreatedUser, NewUser, User, UserPage, ValidationProblem

issuer, authority, provider = os.environ["ISSUER"], os.environ["SSL_CERT_FILE"], os.environ["PROVIDER"]
client = AuthenticatedClient(base_url=issuer, token=os.environ["TOKEN"], verify_ssl=authority)

page = list_users.sync(provider, client=client)
assert isinstance(page, UserPage) and all(isinstance(user, User) for user in page.items), page
made = create_user.sync(provider, client=client, body=NewUser(login_name="ben", name="Ben Okafor"), idempotency_key="1")
assert isinstance(made, CreatedUser), made
gone = deactivate_user.sync(provider, made.id, client=client)
assert isinstance(gone, User), gone
wrong = create_user.sync(provider, client=client, body=NewUser(login_name="a b", name=""))
assert isinstance(wrong, ValidationProblem), wrong
print(
    json.dumps(
        {
            "names": [user.login_name for user in page.items],
            "active": gone.active,
            "wrong": sorted(error.key for error in wrong.errors),
        }
    )
)
