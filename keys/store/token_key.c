#include "keys/store/token_key.h"

#include <openssl/crypto.h>
#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>
#include <stdio.h>
#include <string.h>

#include "base/auto.h"
#include "base/file.h"

enum { PIN_MAX = 256, SLOTS_MAX = 64, DERIVED_LEN = 32 };

static const char LABEL[] = "cloister store key 1";

/* One session with the token that the URI names. */
struct token {
    P11KitUri        *uri;
    CK_FUNCTION_LIST *module;
    bool              is_initialized;
    CK_SESSION_HANDLE session; /* 0: none */
};

static void auto_token(struct token *t)
{
    if (t->session)
        (void) t->module->C_CloseSession(t->session); /* finalizing closes it as well */
    if (t->is_initialized)
        (void) p11_kit_module_finalize(t->module); /* the last thing that we ask of it */
    if (t->module)
        p11_kit_module_release(t->module);
    if (t->uri)
        p11_kit_uri_free(t->uri);
}

static FALLIBLE rv_check(CK_RV rv, const char *what, struct err *err)
{
    return rv == CKR_OK || fail_with(err, ERR_OS, "PKCS#11: %s: %s", what, p11_kit_strerror(rv));
}

static FALLIBLE uri_read(const char *text, struct token *t, struct err *err)
{
    CK_ATTRIBUTE *label;

    t->uri = p11_kit_uri_new();
    if (!t->uri)
        abort();
    if (p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, t->uri) != P11_KIT_URI_OK || p11_kit_uri_any_unrecognized(t->uri))
        return fail_with(err, ERR_CONFIG, "PKCS#11: \"%.80s\" is not a URI of RFC 7512", text);
    label = p11_kit_uri_get_attribute(t->uri, CKA_LABEL);
    if (!label || !p11_kit_uri_get_module_path(t->uri) || !p11_kit_uri_get_pin_source(t->uri))
        return fail_with(err, ERR_CONFIG, "PKCS#11: the URI must have object=, module-path= and pin-source=");
    return true;
}

static FALLIBLE module_load(struct token *t, struct err *err)
{
    const char *path = p11_kit_uri_get_module_path(t->uri);

    t->module = p11_kit_module_load(path, 0);
    if (!t->module)
        return fail_with(err, ERR_CONFIG, "PKCS#11: %.120s: %s", path, p11_kit_message());
    if (!rv_check(p11_kit_module_initialize(t->module), "initialize the module", err))
        return false;
    t->is_initialized = true;
    return true;
}

static FALLIBLE slot_find(struct token *t, CK_SLOT_ID *out, struct err *err)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG   n     = SLOTS_MAX;
    size_t     found = 0;

    if (!rv_check(t->module->C_GetSlotList(CK_TRUE, slots, &n), "list slots", err))
        return false;
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO token;

        if (t->module->C_GetTokenInfo(slots[i], &token) == CKR_OK && p11_kit_uri_match_token_info(t->uri, &token)) {
            *out = slots[i];
            found++;
        }
    }
    if (found == 0)
        return fail_with(err, ERR_NOT_FOUND, "PKCS#11: no token fits the URI");
    return found == 1 || fail_with(err, ERR_CONFIG, "PKCS#11: %zu tokens fit the URI; name one by token= or serial=", found);
}

/* The file may end in a line end, as an editor leaves it. */
static FALLIBLE login(struct token *t, struct err *err)
{
    AUTO(buffer) struct buffer pin = { 0 };
    CK_RV                      rv;

    if (!file_read(p11_kit_uri_get_pin_source(t->uri), PIN_MAX, &pin, err))
        return context(err, "PKCS#11: pin-source");
    while (pin.len > 0 && (pin.at[pin.len - 1] == '\n' || pin.at[pin.len - 1] == '\r'))
        pin.len--;
    rv = t->module->C_Login(t->session, CKU_USER, pin.at, pin.len);
    OPENSSL_cleanse(pin.at, pin.capacity);
    return rv_check(rv == CKR_USER_ALREADY_LOGGED_IN ? CKR_OK : rv, "log in", err);
}

static FALLIBLE token_open(const char *uri, CK_FLAGS flags, struct token *t, struct err *err)
{
    CK_SLOT_ID slot = 0;

    return uri_read(uri, t, err) && module_load(t, err) && slot_find(t, &slot, err) &&
           rv_check(t->module->C_OpenSession(slot, CKF_SERIAL_SESSION | flags, NULL, NULL, &t->session), "open a session", err) &&
           login(t, err);
}

static FALLIBLE key_find(struct token *t, CK_ULONG *n, CK_OBJECT_HANDLE *out, struct err *err)
{
    CK_OBJECT_CLASS  class    = CKO_SECRET_KEY;
    CK_ATTRIBUTE     wanted[] = { { CKA_CLASS, &class, sizeof class }, *p11_kit_uri_get_attribute(t->uri, CKA_LABEL) };
    CK_OBJECT_HANDLE found[2] = { 0 };
    CK_RV            rv;

    if (!rv_check(t->module->C_FindObjectsInit(t->session, wanted, 2), "look for the key", err))
        return false;
    rv = t->module->C_FindObjects(t->session, found, 2, n);
    (void) t->module->C_FindObjectsFinal(t->session); /* ends a search that is over */
    *out = found[0];
    return rv_check(rv, "look for the key", err);
}

FALLIBLE token_key_derive(const char *uri, struct secret *out, struct err *err)
{
    AUTO(token) struct token   t         = { 0 };
    AUTO(secret) struct secret derived   = { 0 };
    CK_MECHANISM               mechanism = { CKM_SHA256_HMAC, NULL, 0 };
    CK_OBJECT_HANDLE           key       = 0;
    CK_ULONG                   n = 0, len = DERIVED_LEN;

    if (!token_open(uri, 0, &t, err) || !key_find(&t, &n, &key, err))
        return false;
    if (n == 0)
        return fail_with(err, ERR_NOT_FOUND, "PKCS#11: the token has no secret key of that name: cloister-broker make-key");
    if (n > 1)
        return fail_with(err, ERR_CONFIG, "PKCS#11: the token has several secret keys of that name");
    if (!secret_new(DERIVED_LEN, &derived, err) ||
        !rv_check(t.module->C_SignInit(t.session, &mechanism, key), "derive", err) ||
        !rv_check(t.module->C_Sign(t.session, (CK_BYTE *) LABEL, sizeof LABEL, derived.held, &len), "derive", err))
        return false;
    if (len != DERIVED_LEN)
        return fail_with(err, ERR_OS, "PKCS#11: derive: %lu bytes came back", len);
    *out = TAKE(derived);
    return true;
}

FALLIBLE token_key_make(const char *uri, struct err *err)
{
    AUTO(token) struct token t         = { 0 };
    CK_MECHANISM             mechanism = { CKM_GENERIC_SECRET_KEY_GEN, NULL, 0 };
    CK_BBOOL                 yes = CK_TRUE, no = CK_FALSE;
    CK_ULONG                 len = DERIVED_LEN, n = 0;
    CK_OBJECT_HANDLE         key = 0;

    if (!token_open(uri, CKF_RW_SESSION, &t, err) || !key_find(&t, &n, &key, err))
        return false;
    if (n > 0)
        return fail_with(err, ERR_CONFIG, "PKCS#11: the token has a secret key of that name already");

    CK_ATTRIBUTE made[] = {
        *p11_kit_uri_get_attribute(t.uri, CKA_LABEL),
        { CKA_TOKEN, &yes, sizeof yes },   { CKA_PRIVATE, &yes, sizeof yes },     { CKA_SENSITIVE, &yes, sizeof yes },
        { CKA_SIGN, &yes, sizeof yes },    { CKA_EXTRACTABLE, &no, sizeof no },   { CKA_VALUE_LEN, &len, sizeof len },
    };
    return rv_check(t.module->C_GenerateKey(t.session, &mechanism, made, sizeof made / sizeof *made, &key), "make the key", err);
}
