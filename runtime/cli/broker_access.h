/* The options by which `cloister key`, `reference`, `audit` and `policy set` reach a broker, and the client made of them. */
#pragma once

#include "base/options.h"
#include "keys/client/admin.h"

struct broker_access {
    const char *url, *admin_key, *ca, *certificate, *name;
    bool        insecure_http;
};

#define BROKER_ACCESS_ROWS(a)                                                                                  \
    { "broker", OPTION_TEXT, &(a)->url, "URL", "the broker, https://HOST:PORT", 0, 0 },                        \
    { "admin-key", OPTION_TEXT, &(a)->admin_key, "FILE", "the administrator's private key, PEM", 0, 0 },       \
    { "admin-certificate", OPTION_TEXT, &(a)->certificate, "FILE", "show this client certificate, PEM, of the admin key", 0, 0 }, \
    { "admin-name", OPTION_TEXT, &(a)->name, "NAME", "who the token is of, at a broker with many administrators", 0, 0 }, \
    { "broker-ca", OPTION_TEXT, &(a)->ca, "FILE", "the CA of the broker, PEM (ca.pem beside the admin key)", 0, 0 }, \
    { "insecure-http", OPTION_FLAG, &(a)->insecure_http, NULL, "let --broker be http:// on this machine: nobody proves who answers", 0, 0 }

/* Whether --broker and --admin-key are given. Fails CONFIG with the one that is missing: a wrong command line. */
FALLIBLE broker_access_check(const struct broker_access *access, struct err *err);

/* Fails as broker_access_check, or as a file cannot be read. */
FALLIBLE broker_access_open(const struct broker_access *access, struct admin_client **out, struct err *err);

/* Adds to a failure, if its kind lets one guess, what to look at. Returns false. */
bool broker_access_advise(const struct broker_access *access, struct err *err);
