/* A real software token (SoftHSM) in a folder of the test, with objects in it. */
#pragma once

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/process.h"
#include "keys/store/token.h"
#include "tests/harness/test.h"

#define SOFTHSM_MODULE "/usr/lib/softhsm/libsofthsm2.so"

/* False when the module is not there. Sets SOFTHSM2_CONF, writes the PIN into FOLDER/pin, and its URI into `uri`. */
static inline bool softhsm_make(const char *folder, char uri[static PATH_MAX])
{
    static const char *const argv[] = { "softhsm2-util", "--init-token", "--free", "--label", "cloister", "--so-pin", "12345678",
                                        "--pin", "8765", NULL };
    AUTO(buffer) struct buffer said = { 0 }, conf = { 0 };
    char                       path[PATH_MAX];
    int                        code = -1;
    struct err                 err;

    if (access(SOFTHSM_MODULE, F_OK) != 0)
        return false;
    (void) snprintf(path, sizeof path, "%s/tokens", folder); /* a cut path fails below */
    assert_true(directory_make(path, &err));
    buffer_printf(&conf, "directories.tokendir = %s\nlog.level = ERROR\n", path);
    (void) snprintf(path, sizeof path, "%s/softhsm.conf", folder); /* as above */
    assert_true(file_write(path, buffer_bytes(&conf), 0600, &err));
    assert_int_equal(setenv("SOFTHSM2_CONF", path, 1), 0);
    (void) snprintf(path, sizeof path, "%s/pin", folder); /* as above */
    assert_true(file_write(path, bytes_of_text("8765\n"), 0600, &err));
    if (!process_run(argv, (struct bytes){ 0 }, 4096, 60000, &said, &code, &err))
        fail_msg("%s", err.text);
    assert_int_equal(code, 0);
    assert_true(snprintf(uri, PATH_MAX, "pkcs11:token=cloister?module-path=" SOFTHSM_MODULE "&pin-source=%s", path) < PATH_MAX);
    return true;
}

/* A data object, or a generic secret key that may leave the token or may not. */
static inline void softhsm_put(const char *uri, const char *label, const char *value, CK_OBJECT_CLASS class, bool is_extractable)
{
    AUTO(token) struct token t    = { 0 };
    CK_KEY_TYPE              type = CKK_GENERIC_SECRET;
    CK_BBOOL                 yes = CK_TRUE, extractable = is_extractable, sensitive = !is_extractable;
    CK_OBJECT_HANDLE         made = 0;
    CK_ATTRIBUTE             a[]  = {
        { CKA_CLASS, &class, sizeof class },
        { CKA_LABEL, (void *) (uintptr_t) label, strlen(label) },
        { CKA_VALUE, (void *) (uintptr_t) value, strlen(value) },
        { CKA_TOKEN, &yes, sizeof yes },
        { CKA_PRIVATE, &yes, sizeof yes },
        { CKA_KEY_TYPE, &type, sizeof type }, /* from here on of keys only */
        { CKA_EXTRACTABLE, &extractable, sizeof extractable },
        { CKA_SENSITIVE, &sensitive, sizeof sensitive },
    };
    struct err               err;

    if (!token_open(uri, CKF_RW_SESSION, false, &t, &err) ||
        !token_rv_check(t.module->C_CreateObject(t.session, a, class == CKO_DATA ? 5 : 8, &made), "put an object", &err))
        fail_msg("%s", err.text);
}
