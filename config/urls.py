"""Every address of the Django half."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("conversations.api.urls")),
    path("", include("conversations.dashboard.urls")),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
]

handler400 = "conversations.dashboard.views.errors.bad_request"
handler404 = "conversations.dashboard.views.errors.page_not_found"
handler500 = "conversations.dashboard.views.errors.server_error"
