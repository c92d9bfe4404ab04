import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = os.environ.get("SECRET_KEY", "development")
DEBUG = os.getenv("DEBUG", "0") == "1"
ROOT_URLCONF = "site_config.urls"
INSTALLED_APPS = ["django.contrib.contenttypes", "shop.apps.ShopConfig"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "PASSWORD": os.environ.get("PGPASSWORD")}
}
DBOS_CONFIG = {
    "name": "django-shop",
    "system_database_url": os.environ.get("DBOS_SYSTEM_DATABASE_URL"),
    "application_version": os.environ.get("RELEASE", "0"),
}
