#include "keys/store/store_key.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/ossl.h"
#include "keys/store/token_key.h"
#include "keys/store/tpm_key.h"

/* "tpm:FILE?TCTI" taken apart. */
struct tpm_source {
    char        file[PATH_MAX];
    const char *tcti;
};

static bool is_tpm(const char *source) { return strncmp(source, "tpm:", 4) == 0; }
static bool is_token(const char *source) { return strncmp(source, "pkcs11:", 7) == 0; }
static const char *file_of(const char *source) { return strncmp(source, "file:", 5) == 0 ? source + 5 : source; }

static FALLIBLE tpm_source_read(const char *source, struct tpm_source *out, struct err *err)
{
    const char *file = source + 4, *mark = strchr(file, '?');
    size_t      len  = mark ? (size_t) (mark - file) : strlen(file);

    if (len == 0 || len >= sizeof out->file)
        return fail_with(err, ERR_CONFIG, "store key: \"%.80s\" is not tpm:FILE[?TCTI]", source);
    memcpy(out->file, file, len);
    out->file[len] = 0;
    out->tcti      = mark ? mark + 1 : "device:/dev/tpmrm0";
    return true;
}

static FALLIBLE private_file_check(const char *path, struct err *err)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return fail_with(err, ERR_CONFIG, "there is no %s", path);
    if (st.st_mode & 077)
        return fail_with(err, ERR_CONFIG, "%s is a private key that others may read: chmod 600 it", path);
    return true;
}

static FALLIBLE file_key_read(const char *path, struct secret *out, struct err *err)
{
    AUTO(buffer) struct buffer content = { 0 };
    bool                       fine;

    if (!private_file_check(path, err) || !file_read(path, STORE_KEY_LEN + 1, &content, err))
        return false;
    fine = content.len == STORE_KEY_LEN ? secret_copy(buffer_bytes(&content), out, err)
                                        : fail_with(err, ERR_CONFIG, "%s: a store key has %d bytes", path, STORE_KEY_LEN);
    OPENSSL_cleanse(content.at, content.len);
    return fine;
}

static FALLIBLE tpm_key_read(const char *source, struct secret *out, struct err *err)
{
    AUTO(buffer) struct buffer sealed = { 0 };
    struct tpm_source          tpm;

    return tpm_source_read(source, &tpm, err) && file_read(tpm.file, TPM_SEALED_MAX, &sealed, err) &&
           tpm_key_unseal(tpm.tcti, buffer_bytes(&sealed), out, err);
}

FALLIBLE store_key_read(const char *source, struct secret *out, struct err *err)
{
    AUTO(secret) struct secret key  = { 0 };
    bool                       fine = is_tpm(source)     ? tpm_key_read(source, &key, err)
                                      : is_token(source) ? token_key_derive(source, &key, err)
                                                         : file_key_read(file_of(source), &key, err);

    if (!fine)
        return context(err, "store key");
    if (key.len != STORE_KEY_LEN)
        return fail_with(err, ERR_CONFIG, "store key: it has %zu bytes; wanted %d", key.len, STORE_KEY_LEN);
    *out = TAKE(key);
    return true;
}

static FALLIBLE new_file(const char *path, struct bytes content, struct err *err)
{
    struct stat st;

    if (lstat(path, &st) == 0)
        return fail_with(err, ERR_CONFIG, "%s is there already; what it sealed would be lost", path);
    return file_write(path, content, 0600, err);
}

FALLIBLE store_key_make(const char *source, struct err *err)
{
    AUTO(secret) struct secret key    = { 0 };
    AUTO(buffer) struct buffer sealed = { 0 };
    struct tpm_source          tpm;

    if (is_token(source))
        return token_key_make(source, err) || context(err, "store key");
    if (!secret_random(STORE_KEY_LEN, &key, err))
        return false;
    if (!is_tpm(source))
        return new_file(file_of(source), secret_expose(&key), err) || context(err, "store key");
    return (tpm_source_read(source, &tpm, err) && tpm_key_seal(tpm.tcti, &key, &sealed, err) &&
            new_file(tpm.file, buffer_bytes(&sealed), err)) ||
           context(err, "store key");
}
