"""``/api/schema`` and ``/api/reference``: what the API is, for programs and for people."""

from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.authentication import SessionAuthentication
from rest_framework.permissions import IsAuthenticated

from conversations.api.authentication import ApiKeyAuthentication


@extend_schema(exclude=True)
class Schema(SpectacularAPIView):
    """The OpenAPI schema, in YAML or, with ``?format=json``, in JSON."""

    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes = [IsAuthenticated]


@extend_schema(exclude=True)
class Reference(SpectacularSwaggerSplitView):
    """The schema to browse and to try out."""

    url_name = "api_schema"
    template_name = "reference.html"
    authentication_classes = [ApiKeyAuthentication, SessionAuthentication]
    permission_classes = [IsAuthenticated]
