#include "keys/external/token_objects.h"

#include <pthread.h>
#include <string.h>

#include "keys/store/token.h"

enum { FOUND_MAX = 3 };

struct token_objects {
    char           *uri;
    pthread_mutex_t mutex;
    struct token    token; /* its session is 0 after a failure: opened again at the next question */
};

void token_objects_free(struct token_objects *o)
{
    if (!o)
        return;
    token_close(&o->token);
    (void) pthread_mutex_destroy(&o->mutex); /* nobody asks any more */
    free(o->uri);
    free(o);
}

FALLIBLE token_objects_new(const char *uri, struct token_objects **out, struct err *err)
{
    AUTO(token_objects) struct token_objects *o = calloc(1, sizeof *o);

    if (!o || !(o->uri = strdup(uri)) || pthread_mutex_init(&o->mutex, NULL) != 0)
        abort();
    if (!token_open(uri, 0, false, &o->token, err))
        return false;
    *out = TAKE(o);
    return true;
}

/* Objects of a class with the label, behind those in `found`. */
static FALLIBLE objects_find(struct token *t, CK_OBJECT_CLASS class, const char *label, CK_OBJECT_HANDLE found[FOUND_MAX], CK_ULONG *n,
                             struct err *err)
{
    CK_ATTRIBUTE wanted[] = { { CKA_CLASS, &class, sizeof class }, { CKA_LABEL, (void *) (uintptr_t) label, strlen(label) } };
    CK_ULONG     more     = 0;
    CK_RV        rv;

    if (!token_rv_check(t->module->C_FindObjectsInit(t->session, wanted, 2), "look for the object", err))
        return false;
    rv = t->module->C_FindObjects(t->session, found + *n, FOUND_MAX - *n, &more);
    (void) t->module->C_FindObjectsFinal(t->session); /* ends a search that is over */
    *n += more;
    return token_rv_check(rv, "look for the object", err);
}

static FALLIBLE value_read(struct token *t, CK_OBJECT_HANDLE object, struct secret *out, struct err *err)
{
    AUTO(secret) struct secret value = { 0 };
    CK_ATTRIBUTE               a     = { CKA_VALUE, NULL, 0 };
    CK_RV                      rv    = t->module->C_GetAttributeValue(t->session, object, &a, 1);

    if (rv == CKR_ATTRIBUTE_SENSITIVE)
        return fail_with(err, ERR_DENIED, "PKCS#11: the key of that label may not leave the token");
    if (!token_rv_check(rv, "the value's length", err))
        return false;
    if (a.ulValueLen == 0 || a.ulValueLen == CK_UNAVAILABLE_INFORMATION)
        return fail_with(err, ERR_NOT_FOUND, "PKCS#11: the object of that label has no value");
    if (a.ulValueLen > TOKEN_VALUE_MAX)
        return fail_with(err, ERR_LIMIT, "PKCS#11: a value of %lu bytes; at most %d are taken", a.ulValueLen, TOKEN_VALUE_MAX);
    if (!secret_new(a.ulValueLen, &value, err))
        return false;
    a.pValue = value.held;
    if (!token_rv_check(t->module->C_GetAttributeValue(t->session, object, &a, 1), "the value", err))
        return false;
    if (a.ulValueLen != value.len)
        return fail_with(err, ERR_OS, "PKCS#11: the value changed while it was read");
    *out = TAKE(value);
    return true;
}

static FALLIBLE get_once(struct token_objects *o, const char *label, struct secret *out, struct err *err)
{
    CK_OBJECT_HANDLE found[FOUND_MAX] = { 0 };
    CK_ULONG         n                = 0;

    if ((o->token.session == 0 && !token_open(o->uri, 0, false, &o->token, err)) ||
        !objects_find(&o->token, CKO_DATA, label, found, &n, err) || !objects_find(&o->token, CKO_SECRET_KEY, label, found, &n, err))
        return false;
    if (n == 0)
        return fail_with(err, ERR_NOT_FOUND, "PKCS#11: the token has no object labelled %.200s", label);
    if (n > 1)
        return fail_with(err, ERR_CONFIG, "PKCS#11: the token has several objects labelled %.200s", label);
    return value_read(&o->token, found[0], out, err);
}

FALLIBLE token_objects_get(struct token_objects *objects, const char *label, struct secret *out, struct err *err)
{
    bool is_got;

    (void) pthread_mutex_lock(&objects->mutex); /* fails only for a mutex that is none */
    is_got = get_once(objects, label, out, err);
    if (!is_got && err->kind == ERR_OS) { /* the session may have died with the token's power: once more with another */
        token_close(&objects->token);
        is_got = get_once(objects, label, out, err);
    }
    if (!is_got && err->kind == ERR_OS)
        token_close(&objects->token);
    (void) pthread_mutex_unlock(&objects->mutex);
    return is_got;
}
