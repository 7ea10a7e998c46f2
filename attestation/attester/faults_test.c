/*
 * A kernel that fails at any call: the attesters say so, and give no evidence. What may pass (EBUSY, EINTR) is asked
 * again. A directory stands for configfs.
 */
#include "tests/harness/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attestation/attester/report_match.h"
#include "attestation/attester/tsm_report.h"
#include "base/file.h"
#include "tests/harness/vectors.h"

static size_t n_calls, failing; /* the call that fails, from 1; 0: none */
static int    failure;          /* its errno */

static bool fails_now(void)
{
    if (++n_calls != failing)
        return false;
    errno = failure;
    return true;
}

/* The linker puts __wrap_X in front of each X (--wrap). */
int     __real_open64(const char *path, int flags, ...);
int     __wrap_open64(const char *path, int flags, ...);
ssize_t __real_read(int fd, void *to, size_t n);
ssize_t __wrap_read(int fd, void *to, size_t n);
ssize_t __real_write(int fd, const void *from, size_t n);
ssize_t __wrap_write(int fd, const void *from, size_t n);
int     __real_mkdir(const char *path, mode_t mode);
int     __wrap_mkdir(const char *path, mode_t mode);

int __wrap_open64(const char *path, int flags, ...)
{
    va_list ap;
    mode_t  mode = 0;

    va_start(ap, flags);
    if (flags & O_CREAT)
        mode = va_arg(ap, mode_t);
    va_end(ap);
    return fails_now() ? -1 : __real_open64(path, flags, mode);
}

ssize_t __wrap_read(int fd, void *to, size_t n) { return fails_now() ? -1 : __real_read(fd, to, n); }
ssize_t __wrap_write(int fd, const void *from, size_t n) { return fails_now() ? -1 : __real_write(fd, from, n); }
int     __wrap_mkdir(const char *path, mode_t mode) { return fails_now() ? -1 : __real_mkdir(path, mode); }

static char         *root; /* of the double */
static struct buffer quote, report;

static void attribute_set(const char *name, struct bytes value)
{
    char       path[256];
    struct err err;

    (void) snprintf(path, sizeof path, "%s/entry/%s", root, name); /* short names */
    if (!file_write(path, value, 0600, &err))
        fail_msg("%s", err.text);
}

static int double_make(void **state)
{
    char       path[256];
    struct err err;

    (void) state;
    quote  = own_vector("tdx/intel_v4/quote.bin");
    report = own_vector("amd-snp/reports/siena-v5-lunal.bin");
    assert_true(directory_make_temporary("tsm-", &root, &err));
    (void) snprintf(path, sizeof path, "%s/entry", root);
    assert_true(directory_make(path, &err));
    attribute_set("inblob", (struct bytes){ 0 });
    attribute_set("generation", bytes_of_text("1\n"));
    attribute_set("auxblob", bytes_of_text("table"));
    (void) snprintf(path, sizeof path, "%s/ccel", root);
    assert_true(file_write(path, bytes_of_text("log"), 0600, &err));
    return 0;
}

static int double_remove(void **state)
{
    struct err err;

    (void) state;
    assert_true(directory_remove(root, &err));
    free(root);
    buffer_free(&quote);
    buffer_free(&report);
    return 0;
}

static bool attests(const char *provider, const struct buffer *blob, size_t report_data_at, size_t *certificates_len)
{
    char                           ccel[256];
    const struct tsm_options       o = { root, "entry", ccel };
    AUTO(attester) struct attester *a = NULL;
    AUTO(attested) struct attested  e = { 0 };
    uint8_t                         report_data[REPORT_DATA_LEN];
    size_t                          armed = failing;
    bool                            done;
    struct err                      err;

    failing = 0; /* setting up is not what fails */
    (void) snprintf(ccel, sizeof ccel, "%s/ccel", root + 1); /* below "/" */
    attribute_set("provider", bytes_of_text(provider));
    attribute_set("outblob", buffer_bytes(blob));
    memcpy(report_data, blob->at + report_data_at, sizeof report_data);
    failing = armed;
    n_calls = 0;
    done    = tsm_attester_open(&o, &a, &err) && a->evidence(a, report_data, &e, &err);
    assert_true(done || e.report.at == NULL);
    *certificates_len = e.certificates.len;
    return done;
}

static bool attests_tdx(size_t *certificates_len) { return attests("tdx_guest", &quote, 568, certificates_len); }
static bool attests_snp(size_t *certificates_len) { return attests("sev_guest", &report, 0x50, certificates_len); }

static void each_failing_call_is_an_error(void **state)
{
    static bool (*const scenarios[])(size_t *certificates_len) = { attests_tdx, attests_snp };

    (void) state;
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
        size_t n, len;

        failing = 0;
        assert_true(scenarios[i](&len));
        n = n_calls;
        assert_true(n >= 10);
        failure = EIO;
        for (failing = 1; failing <= n; failing++)
            if (scenarios[i](&len))
                fail_msg("scenario %zu: evidence although call %zu of %zu failed", i, failing, n);
    }
    failing = 0;
}

/* Between opening and the last read, what may pass is asked again. */
static void what_may_pass_is_asked_again(void **state)
{
    static const int passing[] = { EBUSY, EINTR, EWOULDBLOCK, ETIMEDOUT };
    size_t           len, n_of_opening = 3; /* open, read, read of the provider */

    (void) state;
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        failure = passing[i];
        failing = n_of_opening + 2; /* the write of the report data */
        if (!attests_snp(&len))
            fail_msg("gives up at errno %d", failure);
        assert_int_equal(len, 5);
    }
    failing = 0;
}

/* Without an entry of its own it makes one, and a directory has no provider: what is missing has its name. */
static void an_entry_of_its_own_may_not_be_made(void **state)
{
    static const struct { int failure; enum err_kind kind; } rows[] = {
        { ENOENT, ERR_NOT_FOUND }, { ENXIO, ERR_NOT_FOUND }, { EACCES, ERR_OS }, { ENOSPC, ERR_OS },
    };
    const struct tsm_options o = { root, NULL, NULL };
    struct attester         *a = NULL;
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        failure = rows[i].failure;
        failing = 1;
        n_calls = 0;
        assert_false(tsm_attester_open(&o, &a, &err));
        assert_int_equal(err.kind, rows[i].kind);
    }
    failing = 0;
    assert_false(tsm_attester_open(&o, &a, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    assert_null(a);
}

static void names_and_paths_have_a_limit(void **state)
{
    char             *name = calloc(1, 2 * PATH_MAX);
    struct tsm_options o    = { root, name, NULL };
    struct attester  *a    = NULL;
    struct err        err;

    (void) state;
    memset(name, 'x', NAME_MAX + 1);
    assert_false(tsm_attester_open(&o, &a, &err));
    assert_int_equal(err.kind, ERR_CONFIG);
    memset(name, 'x', 2 * PATH_MAX - 1);
    o = (struct tsm_options){ name, "entry", NULL };
    assert_false(tsm_attester_open(&o, &a, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    o = (struct tsm_options){ root, "entry", name };
    assert_false(tsm_attester_open(&o, &a, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    free(name);
}

static void other_providers_are_refused(void **state)
{
    static const char *const  providers[] = { "arm_cca_guest\n", "", "\n", "tdx_guest2" };
    const struct tsm_options o            = { root, "entry", NULL };
    struct attester         *a            = NULL;
    struct err               err;

    (void) state;
    for (size_t i = 0; i < sizeof providers / sizeof *providers; i++) {
        attribute_set("provider", bytes_of_text(providers[i]));
        assert_false(tsm_attester_open(&o, &a, &err));
        assert_int_equal(err.kind, ERR_UNSUPPORTED);
        assert_string_equal(err.text, "TSM report: TSM provider is neither sev_guest nor tdx_guest");
    }
}

static void evidence_of_no_known_tee_matches_nothing(void **state)
{
    static const uint8_t asked[REPORT_DATA_LEN];
    struct err           err;

    (void) state;
    assert_false(report_matches("tpm", buffer_bytes(&quote), BYTES_OF(asked), &err));
    assert_false(report_matches("snp", buffer_bytes(&quote), BYTES_OF(asked), &err));
    assert_false(report_matches("tdx", buffer_bytes(&report), BYTES_OF(asked), &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_failing_call_is_an_error),
        cmocka_unit_test(what_may_pass_is_asked_again),
        cmocka_unit_test(an_entry_of_its_own_may_not_be_made),
        cmocka_unit_test(names_and_paths_have_a_limit),
        cmocka_unit_test(other_providers_are_refused),
        cmocka_unit_test(evidence_of_no_known_tee_matches_nothing),
    };

    return cmocka_run_group_tests(tests, double_make, double_remove);
}
