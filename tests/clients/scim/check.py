"""Asks everything of the service by scim2-tester, then works as a directory does by scim2-client: prints what came of it."""

import json
import os
import ssl
from collections import Counter

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_models import PatchOp, PatchOperation, SearchRequest
from scim2_tester import Status, check_server

issuer = os.environ["ISSUER"]
trusted = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
web = Client(base_url=f"{issuer}/scim/v2", headers=headers, verify=trusted, timeout=30)
# As it comes: the answers' statuses and types are checked too.
results = check_server(SyncSCIMClient(web))
counts = Counter(result.status.name for result in results)
findings = [f"{result.title}: {result.reason}" for result in results if result.status is not Status.SUCCESS]

directory = SyncSCIMClient(web)
directory.discover()
User = directory.get_resource_model("User")
made = directory.create(User(user_name="solo"))
operation = PatchOperation(op=PatchOperation.Op.replace_, path="active", value=False)
off = directory.modify(User, made.id, PatchOp[User](operations=[operation]))
found = directory.query(User, query_parameters=SearchRequest(filter='userName eq "SOLO"'))
directory.delete(User, made.id)
gone = directory.query(User, made.id, raise_scim_errors=False)

print(
    json.dumps(
        {
            "checked": counts["SUCCESS"],
            "findings": findings,
            "name": made.display_name,
            "active": off.active,
            "found": [user.user_name for user in found.resources],
            "gone": gone.status,
        }
    )
)
