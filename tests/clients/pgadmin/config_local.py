"""pgAdmin's configuration for a sign-in with OpenID Connect, as its documentation has it. In capitals: from the test."""

import os

ISSUER, FOLDER = os.environ["ISSUER"], os.environ["FOLDER"]

AUTHENTICATION_SOURCES = ["oauth2"]
OAUTH2_CONFIG = [
    {
        "OAUTH2_NAME": "therap",
        "OAUTH2_DISPLAY_NAME": "Therap Connect",
        "OAUTH2_CLIENT_ID": os.environ["CLIENT_ID"],
        "OAUTH2_CLIENT_SECRET": os.environ["CLIENT_SECRET"],
        "OAUTH2_TOKEN_URL": f"{ISSUER}/oauth2/token",
        "OAUTH2_AUTHORIZATION_URL": f"{ISSUER}/oauth2/authorize",
        "OAUTH2_SERVER_METADATA_URL": f"{ISSUER}/.well-known/openid-configuration",
        "OAUTH2_API_BASE_URL": f"{ISSUER}/oauth2/",
        "OAUTH2_USERINFO_ENDPOINT": "userinfo",
        "OAUTH2_SCOPE": "openid email profile",
        "OAUTH2_ICON": "fa-openid",
        "OAUTH2_BUTTON_COLOR": "#0000ff",
        "OAUTH2_LOGOUT_URL": f"{ISSUER}/oauth2/end_session"
        "?post_logout_redirect_uri={redirect_uri}&id_token_hint={id_token}",
    }
]

# All that it keeps and listens on is this test's.
SERVER_MODE = True
DEFAULT_SERVER = "127.0.0.1"
DEFAULT_SERVER_PORT = int(os.environ["PORT"])
DATA_DIR = FOLDER
LOG_FILE = f"{FOLDER}/pgadmin.log"
SQLITE_PATH = f"{FOLDER}/pgadmin.db"
SESSION_DB_PATH = f"{FOLDER}/sessions"
STORAGE_DIR = f"{FOLDER}/storage"
AZURE_CREDENTIAL_CACHE_DIR = f"{FOLDER}/azure"
KERBEROS_CCACHE_DIR = f"{FOLDER}/kerberos"
MASTER_PASSWORD_REQUIRED = False
UPGRADE_CHECK_ENABLED = False
