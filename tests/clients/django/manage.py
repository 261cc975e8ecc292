"""A site of Django's that signs its users in with mozilla-django-oidc, as that package's own documentation sets it up:
every endpoint by hand, the secret in the form, people known by their e-mail address, logout by a method of the site's.

    ISSUER=https://connect.example.org CLIENT_ID=portal CLIENT_SECRET=… APP_URL=http://127.0.0.1:3000 python manage.py …
"""

import os
import secrets
import sys
from urllib.parse import urlencode

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.template import Context, Engine
from django.urls import include, path

ISSUER, APP_URL = os.environ["ISSUER"], os.environ["APP_URL"]

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY", secrets.token_hex(32)),
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"]}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "mozilla_django_oidc",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    AUTHENTICATION_BACKENDS=["mozilla_django_oidc.auth.OIDCAuthenticationBackend"],
    OIDC_RP_CLIENT_ID=os.environ["CLIENT_ID"],
    OIDC_RP_CLIENT_SECRET=os.environ["CLIENT_SECRET"],
    OIDC_RP_SIGN_ALGO="RS256",
    OIDC_OP_AUTHORIZATION_ENDPOINT=f"{ISSUER}/oauth2/authorize",
    OIDC_OP_TOKEN_ENDPOINT=f"{ISSUER}/oauth2/token",
    OIDC_OP_USER_ENDPOINT=f"{ISSUER}/oauth2/userinfo",
    OIDC_OP_JWKS_ENDPOINT=f"{ISSUER}/oauth2/jwks",
    OIDC_STORE_ID_TOKEN=True,
    OIDC_OP_LOGOUT_URL_METHOD=f"{__name__}.logout_url",
    LOGIN_REDIRECT_URL="/",
    LOGOUT_REDIRECT_URL="/",
)


def logout_url(request):
    query = {"id_token_hint": request.session["oidc_id_token"], "post_logout_redirect_uri": f"{APP_URL}/"}
    return f"{ISSUER}/oauth2/end_session?{urlencode(query)}"


PAGE = """<!doctype html><html lang="en"><title>Django</title><body>
{% if user.is_authenticated %}
<p id="who">{{ user.email }}</p>
<form action="{% url 'oidc_logout' %}" method="post">{% csrf_token %}<button id="sign-out">Sign out</button></form>
{% else %}
<a id="sign-in" href="{% url 'oidc_authentication_init' %}">Sign in</a>
{% endif %}
</body></html>"""


def index(request):
    return HttpResponse(Engine().from_string(PAGE).render(Context({"user": request.user, "csrf_token": csrf(request)})))


def csrf(request):
    from django.middleware.csrf import get_token

    return get_token(request)


urlpatterns = [path("", index), path("oidc/", include("mozilla_django_oidc.urls"))]

if __name__ == "__main__":
    django.setup()
    execute_from_command_line(sys.argv)
