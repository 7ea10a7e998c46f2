#include "runtime/cli/sealing.h"

#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <string.h>

#include "base/file.h"
#include "keys/api/sealed_secret.h"
#include "keys/ocicrypt/jwe_recipient.h"
#include "keys/ocicrypt/key_file.h"

static bool is_listed(struct json_object *list, const char *text)
{
    for (size_t i = 0; i < json_object_array_length(list); i++)
        if (strcmp(json_object_get_string(json_object_array_get_idx(list, i)), text) == 0)
            return true;
    return false;
}

void sealing_add_signers(struct json_object *entry, struct json_object *env)
{
    struct json_object *list = json_object_new_array();
    char                kid[SEALED_URI_MAX + 1];
    struct err          not_sealed;

    for (size_t i = 0; i < json_object_array_length(env); i++) {
        const char *value = strchr(json_object_get_string(json_object_array_get_idx(env, i)), '=');

        if (value && sealed_secret_is(bytes_of_text(value + 1)) &&
            sealed_secret_signer(bytes_of_text(value + 1), kid, &not_sealed) && kid[0] && !is_listed(list, kid) &&
            json_object_array_add(list, json_object_new_string(kid)) != 0)
            abort();
    }
    if (json_object_array_length(list) > 0)
        json_add(entry, "sealed", list);
    else
        json_object_put(list);
}

static FALLIBLE secret_of_file(const char *path, struct secret *out, struct err *err)
{
    AUTO(buffer) struct buffer content = { 0 };
    bool                       ok;

    (void) buffer_grow(&content, SEALED_TEXT_MAX); /* room at once: a growing buffer would leave copies behind */
    content.len = 0;
    ok = file_read(path, SEALED_TEXT_MAX, &content, err) && secret_copy(buffer_bytes(&content), out, err);
    OPENSSL_cleanse(content.at, content.capacity);
    return ok;
}

FALLIBLE sealing_make(const struct sealing *sealing, struct buffer *out, struct err *err)
{
    AUTO(pkey) EVP_PKEY       *signer = NULL;
    AUTO(secret) struct secret plain  = { 0 }, kek = { 0 };

    if (!sealing->kid || !sealing->signer)
        return fail_with(err, ERR_CONFIG, "give --kid URI and --signer FILE: see `cloister key signer`");
    if (!sealing->secret != !sealing->wrap_by)
        return fail_with(err, ERR_CONFIG, "an envelope takes --secret FILE and --key FILE together");
    if (!secret_heap_open(err) || !jwe_private_key_read(sealing->signer, &signer, err))
        return false;
    if (!sealing->secret)
        return sealed_secret_write_vault(sealing->uri, sealing->kid, signer, out, err);
    return secret_of_file(sealing->secret, &plain, err) && key_file_read(sealing->wrap_by, &kek, err) &&
           sealed_secret_write_envelope(&plain, sealing->uri, &kek, sealing->kid, signer, out, err);
}

static FALLIBLE make_signer(const char *path, struct err *err)
{
    AUTO(pkey) EVP_PKEY *key  = EVP_EC_gen("P-256");
    AUTO(bio) BIO       *bio  = BIO_new(BIO_s_secmem());
    char                *text = NULL;

    if (!key || !bio || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1)
        return err_openssl(err, ERR_OS, "make a key");
    long len = BIO_get_mem_data(bio, &text);
    return file_write(path, (struct bytes){ (const uint8_t *) text, (size_t) len }, 0600, err);
}

FALLIBLE sealing_signer(const char *path, struct buffer *out, struct err *err)
{
    AUTO(pkey) EVP_PKEY *key = NULL;

    if (!secret_heap_open(err))
        return false;
    if (!jwe_private_key_read(path, &key, err) &&
        (err->kind != ERR_NOT_FOUND || !make_signer(path, err) || !jwe_private_key_read(path, &key, err)))
        return false;
    return sealed_secret_write_signer(key, out, err);
}
