#include "keys/store/token_key.h"

#include "keys/store/token.h"

enum { DERIVED_LEN = 32 };

static const char LABEL[] = "cloister store key 1";

static FALLIBLE key_find(struct token *t, CK_ULONG *n, CK_OBJECT_HANDLE *out, struct err *err)
{
    CK_OBJECT_CLASS  class    = CKO_SECRET_KEY;
    CK_ATTRIBUTE     wanted[] = { { CKA_CLASS, &class, sizeof class }, *p11_kit_uri_get_attribute(t->uri, CKA_LABEL) };
    CK_OBJECT_HANDLE found[2] = { 0 };
    CK_RV            rv;

    if (!token_rv_check(t->module->C_FindObjectsInit(t->session, wanted, 2), "look for the key", err))
        return false;
    rv = t->module->C_FindObjects(t->session, found, 2, n);
    (void) t->module->C_FindObjectsFinal(t->session); /* ends a search that is over */
    *out = found[0];
    return token_rv_check(rv, "look for the key", err);
}

FALLIBLE token_key_derive(const char *uri, struct secret *out, struct err *err)
{
    AUTO(token) struct token   t         = { 0 };
    AUTO(secret) struct secret derived   = { 0 };
    CK_MECHANISM               mechanism = { CKM_SHA256_HMAC, NULL, 0 };
    CK_OBJECT_HANDLE           key       = 0;
    CK_ULONG                   n = 0, len = DERIVED_LEN;

    if (!token_open(uri, 0, true, &t, err) || !key_find(&t, &n, &key, err))
        return false;
    if (n == 0)
        return fail_with(err, ERR_NOT_FOUND, "PKCS#11: the token has no secret key of that name: cloister-broker make-key");
    if (n > 1)
        return fail_with(err, ERR_CONFIG, "PKCS#11: the token has several secret keys of that name");
    if (!secret_new(DERIVED_LEN, &derived, err) ||
        !token_rv_check(t.module->C_SignInit(t.session, &mechanism, key), "derive", err) ||
        !token_rv_check(t.module->C_Sign(t.session, (CK_BYTE *) LABEL, sizeof LABEL, derived.held, &len), "derive", err))
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

    if (!token_open(uri, CKF_RW_SESSION, true, &t, err) || !key_find(&t, &n, &key, err))
        return false;
    if (n > 0)
        return fail_with(err, ERR_CONFIG, "PKCS#11: the token has a secret key of that name already");

    CK_ATTRIBUTE made[] = {
        *p11_kit_uri_get_attribute(t.uri, CKA_LABEL),
        { CKA_TOKEN, &yes, sizeof yes },   { CKA_PRIVATE, &yes, sizeof yes },     { CKA_SENSITIVE, &yes, sizeof yes },
        { CKA_SIGN, &yes, sizeof yes },    { CKA_EXTRACTABLE, &no, sizeof no },   { CKA_VALUE_LEN, &len, sizeof len },
    };
    return token_rv_check(t.module->C_GenerateKey(t.session, &mechanism, made, sizeof made / sizeof *made, &key), "make the key", err);
}
