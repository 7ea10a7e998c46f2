#include "runtime/cli/broker_access.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <string.h>

#include "base/file.h"

enum { PEM_LEN_MAX = 64 << 10 };

static FALLIBLE certificates_read(const char *path, struct buffer *pem, struct err *err)
{
    static const char BEGIN[] = "-----BEGIN CERTIFICATE-----";

    return file_read(path, PEM_LEN_MAX, pem, err) &&
           (memmem(pem->at, pem->len, BEGIN, sizeof BEGIN - 1) || fail_with(err, ERR_CONFIG, "%s holds no certificate in PEM", path));
}

/* The CA named, else "ca.pem" in the folder of the administrator's key, where `cloister-broker --dev` puts it. */
static FALLIBLE ca_read(const struct broker_access *access, struct buffer *pem, struct err *err)
{
    const char *slash = strrchr(access->admin_key, '/');
    char        path[PATH_MAX];

    if (access->ca)
        return certificates_read(access->ca, pem, err);
    if ((size_t) snprintf(path, sizeof path, "%.*sca.pem", slash ? (int) (slash + 1 - access->admin_key) : 0,
                          access->admin_key) >= sizeof path)
        return fail_with(err, ERR_CONFIG, "the path of --admin-key is too long");
    if (certificates_read(path, pem, err))
        return true;
    return err->kind == ERR_NOT_FOUND ? fail_with(err, ERR_CONFIG, "no CA to trust: there is no %s; give --broker-ca FILE", path)
                                      : false;
}

FALLIBLE broker_access_check(const struct broker_access *access, struct err *err)
{
    return (access->url && access->admin_key) ||
           fail_with(err, ERR_CONFIG, "give %s%s%s; see --help", access->url ? "" : "--broker URL", access->url || access->admin_key ? "" : " and ",
                     access->admin_key ? "" : "--admin-key FILE");
}

/* In plain HTTP nobody shows a certificate. */
static FALLIBLE roots_read(const struct broker_access *access, struct buffer *ca, struct buffer *certificate, struct err *err)
{
    bool is_plain = access->insecure_http && strncmp(access->url, "http://", strlen("http://")) == 0;

    return is_plain || (ca_read(access, ca, err) && (!access->certificate || certificates_read(access->certificate, certificate, err)));
}

FALLIBLE broker_access_open(const struct broker_access *access, struct admin_client **out, struct err *err)
{
    AUTO(buffer) struct buffer key = { 0 };
    AUTO(buffer) struct buffer ca  = { 0 }, certificate = { 0 };
    bool                       opened;

    if (!broker_access_check(access, err) || !secret_heap_open(err) || !file_read(access->admin_key, PEM_LEN_MAX, &key, err))
        return false;
    if (!roots_read(access, &ca, &certificate, err)) {
        OPENSSL_cleanse(key.at, key.len);
        return false;
    }

    struct admin_options options = { .url = access->url, .ca_pem = buffer_bytes(&ca), .key_pem = buffer_bytes(&key),
                                     .certificate_pem = buffer_bytes(&certificate), .name = access->name, .insecure_http = access->insecure_http };
    opened = admin_client_new(&options, out, err);
    OPENSSL_cleanse(key.at, key.len);
    return opened;
}

bool broker_access_advise(const struct broker_access *access, struct err *err)
{
    struct err before = *err;

    if (before.kind == ERR_UNTRUSTED && strstr(before.text, "certificate"))
        return fail_with(err, before.kind, "%.150s: is %.60s its CA?", before.text, access->ca ? access->ca : "ca.pem beside the admin key");
    if (strstr(before.text, "onnect to ") || strstr(before.text, "resolve host"))
        return fail_with(err, before.kind, "%.180s: is --broker right, and does it run?", before.text);
    if (strstr(before.text, "there is no such path"))
        return fail_with(err, before.kind, "%.150s: does --broker name its listener for administrators (admin_listen)?", before.text);
    return false;
}
