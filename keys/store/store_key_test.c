/* Store keys from a file, from a real software TPM and from a real software token. */
#include "tests/harness/test.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/process.h"
#include "keys/store/store_key.h"

static char          *folder;
static struct process swtpm;

static void path_in(const char *name, char path[static 256])
{
    (void) snprintf(path, 256, "%s/%s", folder, name); /* short names */
}

static int make(void **state)
{
    struct err err;

    (void) state;
    swtpm = NO_PROCESS;
    (void) setenv("TSS2_LOG", "all+none", 1); /* failures are asserted, not told twice */
    return secret_heap_open(&err) && directory_make_temporary("store-key-", &folder, &err) ? 0 : 1;
}

static int clean(void **state)
{
    struct err err;

    (void) state;
    process_kill(&swtpm);
    if (!directory_remove(folder, &err))
        return 1;
    free(folder);
    return 0;
}

static void assert_unusable(const char *source, enum err_kind kind, const char *part)
{
    AUTO(secret) struct secret key = { 0 };
    struct err                 err;

    assert_false(store_key_read(source, &key, &err));
    if (!strstr(err.text, part))
        fail_msg("\"%s\" is not in: %s", part, err.text);
    assert_int_equal(err.kind, kind);
    assert_null(key.held);
}

/* Makes it, reads the same twice, and does not make it again. */
static void assert_made_once(const char *source)
{
    AUTO(secret) struct secret one = { 0 }, two = { 0 };
    struct err                 err;

    if (!store_key_make(source, &err) || !store_key_read(source, &one, &err) || !store_key_read(source, &two, &err))
        fail_msg("%s", err.text);
    assert_true(secret_equal(&one, &two));
    assert_int_equal(one.len, STORE_KEY_LEN);
    assert_false(store_key_make(source, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
}

static void from_a_file_that_is_private_and_has_32_bytes(void **state)
{
    char       path[256], source[300];
    struct err err;

    (void) state;
    path_in("key", path);
    assert_made_once(path);
    (void) snprintf(source, sizeof source, "file:%s", path); /* fits */
    assert_false(store_key_make(source, &err));
    assert_int_equal(chmod(path, 0640), 0);
    assert_unusable(source, ERR_CONFIG, "others may read: chmod 600");
    for (size_t len = 0; len <= 34; len++) {
        uint8_t bytes[34] = { 1 };

        if (len == STORE_KEY_LEN)
            continue;
        assert_true(file_write(path, (struct bytes){ bytes, len }, 0600, &err));
        assert_unusable(path, len == 34 ? ERR_LIMIT : ERR_CONFIG, len == 34 ? "key" : "a store key has 32 bytes");
    }
    path_in("none", path);
    assert_unusable(path, ERR_CONFIG, "there is no ");
}

static bool swtpm_start(const char *name, char tcti[static 300])
{
    char        state[300], server[300], control[300], socket[256];
    const char *argv[] = { "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server, "--ctrl", control,
                           "--flags", "not-need-init,startup-clear", NULL };
    struct process_options o = { .argv = argv, .dies_with_us = true };
    struct err             err;

    process_kill(&swtpm);
    path_in(name, socket);
    assert_true(directory_make(socket, &err));
    (void) snprintf(state, sizeof state, "dir=%s", socket); /* short names, here and below */
    (void) snprintf(server, sizeof server, "type=unixio,path=%s/tpm", socket);
    (void) snprintf(control, sizeof control, "type=unixio,path=%s/tpm.ctrl", socket);
    (void) snprintf(tcti, 300, "swtpm:path=%s/tpm", socket);
    if (!process_start(&o, &swtpm, &err)) {
        assert_int_equal(err.kind, ERR_NOT_FOUND);
        return false;
    }
    (void) snprintf(control, sizeof control, "%s/tpm.ctrl", socket);
    for (int i = 0; i < 2400 && access(control, F_OK) != 0; i++)
        (void) usleep(50000); /* a short sleep does no harm */
    return true;
}

static void from_the_tpm_that_sealed_it_and_no_other(void **state)
{
    AUTO(buffer) struct buffer sealed = { 0 };
    char                       path[256], tcti[300], source[700];
    struct err                 err;

    (void) state;
    path_in("sealed", path);
    if (!swtpm_start("tpm-1", tcti))
        skip();
    (void) snprintf(source, sizeof source, "tpm:%s?%s", path, tcti); /* fits */
    assert_made_once(source);
    assert_true(file_read(path, 4096, &sealed, &err));
    for (size_t len = 0; len < sealed.len; len++) {
        assert_true(file_write(path, (struct bytes){ sealed.at, len }, 0600, &err));
        assert_unusable(source, ERR_MALFORMED, "this is not a key that it sealed");
    }
    sealed.at[sealed.len - 1] ^= 1;
    assert_true(file_write(path, buffer_bytes(&sealed), 0600, &err));
    assert_unusable(source, ERR_UNTRUSTED, "load the sealed key");
    sealed.at[sealed.len - 1] ^= 1;
    assert_true(file_write(path, buffer_bytes(&sealed), 0600, &err));
    assert_true(swtpm_start("tpm-2", tcti));
    (void) snprintf(source, sizeof source, "tpm:%s?%s", path, tcti); /* fits */
    assert_unusable(source, ERR_UNTRUSTED, "load the sealed key");
    (void) snprintf(source, sizeof source, "tpm:%s?device:/nonexistent/tpm", path); /* fits */
    assert_unusable(source, ERR_OS, "TPM: device:/nonexistent/tpm");
    assert_unusable("tpm:", ERR_CONFIG, "is not tpm:FILE[?TCTI]");
}

static bool token_make(const char *module)
{
    static const char *const argv[] = { "softhsm2-util", "--init-token", "--free", "--label", "cloister", "--so-pin", "12345678",
                                        "--pin", "8765", NULL };
    AUTO(buffer) struct buffer said = { 0 }, conf = { 0 };
    char                       path[256];
    int                        code = -1;
    struct err                 err;

    if (access(module, F_OK) != 0)
        return false;
    path_in("tokens", path);
    assert_true(directory_make(path, &err));
    buffer_printf(&conf, "directories.tokendir = %s\nlog.level = ERROR\n", path);
    path_in("softhsm.conf", path);
    assert_true(file_write(path, buffer_bytes(&conf), 0600, &err));
    assert_int_equal(setenv("SOFTHSM2_CONF", path, 1), 0);
    path_in("pin", path);
    assert_true(file_write(path, bytes_of_text("8765\n"), 0600, &err));
    if (!process_run(argv, (struct bytes){ 0 }, 4096, 60000, &said, &code, &err))
        fail_msg("%s", err.text);
    assert_int_equal(code, 0);
    return true;
}

static void from_a_token_whose_key_never_leaves_it(void **state)
{
    static const char MODULE[] = "/usr/lib/softhsm/libsofthsm2.so";
    char              pin[256], other[256], source[900];
    struct err        err;

    (void) state;
    if (!token_make(MODULE))
        skip();
    path_in("pin", pin);
    path_in("other-pin", other);
    assert_true(file_write(other, bytes_of_text("0000"), 0600, &err));
    (void) snprintf(source, sizeof source, "pkcs11:token=cloister;object=store?module-path=%s&pin-source=%s", MODULE, pin);
    assert_unusable(source, ERR_NOT_FOUND, "the token has no secret key of that name");
    assert_made_once(source);

    AUTO(secret) struct secret one = { 0 }, two = { 0 };

    assert_true(store_key_read(source, &one, &err));
    (void) snprintf(source, sizeof source, "pkcs11:token=cloister;object=second?module-path=%s&pin-source=%s", MODULE, pin);
    assert_made_once(source);
    assert_true(store_key_read(source, &two, &err));
    assert_false(secret_equal(&one, &two));
    (void) snprintf(source, sizeof source, "pkcs11:token=cloister;object=store?module-path=%s&pin-source=%s", MODULE, other);
    assert_unusable(source, ERR_OS, "log in");
    (void) snprintf(source, sizeof source, "pkcs11:token=another;object=store?module-path=%s&pin-source=%s", MODULE, pin);
    assert_unusable(source, ERR_NOT_FOUND, "no token fits the URI");
}

static void tells_what_a_token_uri_lacks(void **state)
{
    (void) state;
    assert_unusable("pkcs11:object=store?module-path=/nonexistent.so", ERR_CONFIG, "must have object=, module-path= and pin-source=");
    assert_unusable("pkcs11:%zz", ERR_CONFIG, "is not a URI of RFC 7512");
    assert_unusable("pkcs11:object=store?module-path=/nonexistent.so&pin-source=/nonexistent", ERR_CONFIG, "/nonexistent.so");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_a_file_that_is_private_and_has_32_bytes),
        cmocka_unit_test(from_the_tpm_that_sealed_it_and_no_other),
        cmocka_unit_test(from_a_token_whose_key_never_leaves_it),
        cmocka_unit_test(tells_what_a_token_uri_lacks),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
