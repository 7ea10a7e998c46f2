#include "tests/harness/test.h"

#include <openssl/pem.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/file.h"
#include "keys/broker/credentials.h"

static char *folder;
static char  room[6][4096];

static int make(void **state)
{
    struct err err;

    (void) state;
    return secret_heap_open(&err) && directory_make_temporary("credentials-", &folder, &err) &&
                   credentials_make(folder, (int64_t) time(NULL), &err)
               ? 0
               : 1;
}

static int clean(void **state)
{
    struct err err;
    bool       removed = directory_remove(folder, &err);

    (void) state;
    free(folder);
    return removed ? 0 : 1;
}

static const char *in_folder(int i, const char *name)
{
    (void) snprintf(room[i], sizeof room[i], "%s/%s", folder, name);
    return room[i];
}

static struct credential_paths paths(void)
{
    return (struct credential_paths){ .tls_certificate   = in_folder(0, "server.pem"),
                                      .tls_key           = in_folder(1, "server.key"),
                                      .token_certificate = in_folder(2, "token.pem"),
                                      .token_key         = in_folder(3, "token.key"),
                                      .admin_key         = in_folder(4, "admin.pub"),
                                      .store_key         = in_folder(5, "store.key") };
}

static void loads_what_it_made_and_makes_nothing_twice(void **state)
{
    struct credential_paths              p   = paths();
    AUTO(credentials) struct credentials one = { 0 };
    AUTO(credentials) struct credentials two = { 0 };
    struct err                           err;

    (void) state;
    assert_true(credentials_load(&p, &one, &err));
    assert_true(credentials_make(folder, (int64_t) time(NULL), &err));
    assert_true(credentials_load(&p, &two, &err));
    assert_true(secret_equal(&one.store_key, &two.store_key));
    assert_true(bytes_equal(buffer_bytes(&one.tls_certificate), buffer_bytes(&two.tls_certificate)));
    assert_int_equal(EVP_PKEY_eq(one.admin_key, two.admin_key), 1);
}

static void keeps_private_files_private(void **state)
{
    static const char *const PRIVATE[] = { "ca.key", "server.key", "token.key", "admin.key", "store.key" };
    struct credential_paths  p = paths();
    struct stat              st;
    AUTO(credentials) struct credentials c = { 0 };
    struct err               err;
    char                     wanted[4200];

    (void) state;
    for (size_t i = 0; i < sizeof PRIVATE / sizeof *PRIVATE; i++) {
        char path[4200];

        (void) snprintf(path, sizeof path, "%s/%s", folder, PRIVATE[i]);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_int_equal(chmod(p.token_key, 0640), 0);
    assert_false(credentials_load(&p, &c, &err));
    (void) snprintf(wanted, sizeof wanted, "%s is a private key that others may read: chmod 600 it", p.token_key);
    assert_string_equal(err.text, wanted);
    assert_int_equal(chmod(p.token_key, 0600), 0);
}

static void tells_a_certificate_of_another_key(void **state)
{
    struct credential_paths              p = paths();
    AUTO(credentials) struct credentials c = { 0 };
    struct err                           err;

    (void) state;
    p.token_certificate = p.tls_certificate;
    assert_false(credentials_load(&p, &c, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    assert_non_null(strstr(err.text, "does not belong to the private key beside it"));
}

static void chains_the_server_to_the_ca_for_loopback_only(void **state)
{
    AUTO(buffer) struct buffer pem = { 0 };
    AUTO(bio) BIO             *bio = NULL;
    AUTO(x509) X509           *server = NULL;
    struct err                 err;

    (void) state;
    assert_true(file_read(in_folder(0, "server.pem"), 1 << 16, &pem, &err));
    bio    = BIO_new_mem_buf(pem.at, (int) pem.len);
    server = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    assert_int_equal(X509_check_ip_asc(server, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(server, "::1", 0), 1);
    assert_int_equal(X509_check_host(server, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(server, "example.com", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ca(server), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loads_what_it_made_and_makes_nothing_twice),
        cmocka_unit_test(keeps_private_files_private),
        cmocka_unit_test(tells_a_certificate_of_another_key),
        cmocka_unit_test(chains_the_server_to_the_ca_for_loopback_only),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
