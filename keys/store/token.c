#include "keys/store/token.h"

#include <openssl/crypto.h>
#include <string.h>

#include "base/auto.h"
#include "base/file.h"

enum { PIN_MAX = 256, SLOTS_MAX = 64 };

void token_close(struct token *t)
{
    if (t->session)
        (void) t->module->C_CloseSession(t->session); /* finalizing closes it as well */
    if (t->is_initialized)
        (void) p11_kit_module_finalize(t->module); /* the last thing that we ask of it */
    if (t->module)
        p11_kit_module_release(t->module);
    if (t->uri)
        p11_kit_uri_free(t->uri);
    *t = (struct token){ 0 };
}

FALLIBLE token_rv_check(CK_RV rv, const char *what, struct err *err)
{
    return rv == CKR_OK || fail_with(err, ERR_OS, "PKCS#11: %s: %s", what, p11_kit_strerror(rv));
}

static FALLIBLE uri_read(const char *text, bool wants_object, struct token *t, struct err *err)
{
    t->uri = p11_kit_uri_new();
    if (!t->uri)
        abort();
    if (p11_kit_uri_parse(text, P11_KIT_URI_FOR_ANY, t->uri) != P11_KIT_URI_OK || p11_kit_uri_any_unrecognized(t->uri))
        return fail_with(err, ERR_CONFIG, "PKCS#11: \"%.80s\" is not a URI of RFC 7512", text);
    if ((wants_object && !p11_kit_uri_get_attribute(t->uri, CKA_LABEL)) || !p11_kit_uri_get_module_path(t->uri) || !p11_kit_uri_get_pin_source(t->uri))
        return fail_with(err, ERR_CONFIG, "PKCS#11: the URI must have %smodule-path= and pin-source=", wants_object ? "object=, " : "");
    return true;
}

static FALLIBLE module_load(struct token *t, struct err *err)
{
    const char *path = p11_kit_uri_get_module_path(t->uri);

    t->module = p11_kit_module_load(path, 0);
    if (!t->module)
        return fail_with(err, ERR_CONFIG, "PKCS#11: %.120s: %s", path, p11_kit_message());
    if (!token_rv_check(p11_kit_module_initialize(t->module), "initialize the module", err))
        return false;
    t->is_initialized = true;
    return true;
}

static FALLIBLE slot_find(struct token *t, CK_SLOT_ID *out, struct err *err)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG   n     = SLOTS_MAX;
    size_t     found = 0;

    if (!token_rv_check(t->module->C_GetSlotList(CK_TRUE, slots, &n), "list slots", err))
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
    return token_rv_check(rv == CKR_USER_ALREADY_LOGGED_IN ? CKR_OK : rv, "log in", err);
}

FALLIBLE token_open(const char *uri, CK_FLAGS flags, bool wants_object, struct token *t, struct err *err)
{
    CK_SLOT_ID slot = 0;

    return uri_read(uri, wants_object, t, err) && module_load(t, err) && slot_find(t, &slot, err) &&
           token_rv_check(t->module->C_OpenSession(slot, CKF_SERIAL_SESSION | flags, NULL, NULL, &t->session), "open a session", err) &&
           login(t, err);
}
