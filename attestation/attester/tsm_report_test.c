/* A directory stands for configfs: what the kernel would compute is put there before the request. */
#include "tests/harness/test.h"
#include "attestation/attester/tsm_report.h"
#include "base/file.h"
#include "tests/harness/vectors.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

enum { QUOTE_REPORT_DATA = 568, SNP_REPORT_DATA = 0x50 };

static char *root; /* of the double */

static void attribute_set(const char *name, struct bytes value)
{
    char       path[256];
    struct err err;

    (void) snprintf(path, sizeof path, "%s/entry/%s", root, name); /* short names */
    if (!file_write(path, value, 0600, &err))
        fail_msg("%s", err.text);
}

static void attribute_drop(const char *name)
{
    char path[256];

    (void) snprintf(path, sizeof path, "%s/entry/%s", root, name);
    (void) unlink(path); /* may not be there */
}

static int double_make(void **state)
{
    char       path[256];
    struct err err;

    (void) state;
    assert_true(directory_make_temporary("tsm-", &root, &err));
    (void) snprintf(path, sizeof path, "%s/entry", root);
    assert_true(directory_make(path, &err));
    attribute_set("inblob", (struct bytes){ 0 });
    attribute_set("generation", bytes_of_text("1\n"));
    return 0;
}

static int double_remove(void **state)
{
    struct err err;

    (void) state;
    assert_true(directory_remove(root, &err));
    free(root);
    return 0;
}

static bool open_double(struct attester **out, struct err *err)
{
    const struct tsm_options o = { root, "entry", "nonexistent" };

    return tsm_attester_open(&o, out, err);
}

static void report_data_of(const struct buffer *report, size_t at, uint8_t out[static REPORT_DATA_LEN])
{
    memcpy(out, report->at + at, REPORT_DATA_LEN);
}

static void gives_a_tdx_quote_over_the_report_data(void **state)
{
    AUTO(buffer) struct buffer     quote    = own_vector("tdx/intel_v4/quote.bin");
    AUTO(buffer) struct buffer     written  = { 0 };
    AUTO(attester) struct attester *a       = NULL;
    AUTO(attested) struct attested evidence = { 0 };
    uint8_t                        report_data[REPORT_DATA_LEN];
    char                           path[256];
    struct err                     err;

    (void) state;
    attribute_set("provider", bytes_of_text("tdx_guest\n"));
    attribute_set("outblob", buffer_bytes(&quote));
    report_data_of(&quote, QUOTE_REPORT_DATA, report_data);
    assert_true(open_double(&a, &err));
    assert_string_equal(a->tee, "tdx");
    assert_true(a->evidence(a, report_data, &evidence, &err));
    assert_true(bytes_equal(buffer_bytes(&evidence.report), buffer_bytes(&quote)));
    assert_int_equal(evidence.event_log.len, 0);
    (void) snprintf(path, sizeof path, "%s/entry/inblob", root);
    assert_true(file_read(path, 4096, &written, &err));
    assert_true(bytes_equal(buffer_bytes(&written), BYTES_OF(report_data)));
}

static void gives_an_snp_report_with_the_hosts_certificates(void **state)
{
    AUTO(buffer) struct buffer      report   = own_vector("amd-snp/reports/siena-v5-lunal.bin");
    AUTO(attester) struct attester *a        = NULL;
    AUTO(attested) struct attested  evidence = { 0 };
    uint8_t                         report_data[REPORT_DATA_LEN];
    struct err                      err;

    (void) state;
    attribute_set("provider", bytes_of_text("sev_guest\n"));
    attribute_set("outblob", buffer_bytes(&report));
    attribute_set("auxblob", bytes_of_text("table"));
    report_data_of(&report, SNP_REPORT_DATA, report_data);
    assert_true(open_double(&a, &err));
    assert_string_equal(a->tee, "snp");
    assert_true(a->evidence(a, report_data, &evidence, &err));
    assert_int_equal(evidence.report.len, 1184);
    assert_true(bytes_equal(buffer_bytes(&evidence.certificates), bytes_of_text("table")));
}

static void refuses_a_report_about_something_else_and_leaves_out_empty(void **state)
{
    AUTO(buffer) struct buffer      quote    = own_vector("tdx/intel_v4/quote.bin");
    AUTO(attester) struct attester *a        = NULL;
    struct attested                 evidence = { 0 };
    uint8_t                         report_data[REPORT_DATA_LEN];
    struct err                      err;

    (void) state;
    attribute_set("provider", bytes_of_text("tdx_guest\n"));
    attribute_set("outblob", buffer_bytes(&quote));
    report_data_of(&quote, QUOTE_REPORT_DATA, report_data);
    report_data[63] ^= 1;
    assert_true(open_double(&a, &err));
    assert_false(a->evidence(a, report_data, &evidence, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_string_equal(err.text, "TSM report: report carries other report data than was asked for");
    assert_null(evidence.report.at);
}

static void refuses_an_empty_blob(void **state)
{
    AUTO(attester) struct attester *a = NULL;
    struct attested                 evidence = { 0 };
    const uint8_t                   report_data[REPORT_DATA_LEN] = { 0 };
    struct err                      err;

    (void) state;
    attribute_set("provider", bytes_of_text("tdx_guest\n"));
    attribute_set("outblob", (struct bytes){ 0 });
    assert_true(open_double(&a, &err));
    assert_false(a->evidence(a, report_data, &evidence, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
}

/* The quote comes through a pipe; while it is read, someone else's request moves the generation, twice. */
static void *meddler(void *quote)
{
    const struct buffer *b = quote;
    char                 path[256];

    (void) snprintf(path, sizeof path, "%s/entry/outblob", root);
    for (int i = 0; i < 3; i++) {
        int        fd = open(path, O_WRONLY); /* waits for the reader */
        struct err err;

        if (i < 2)
            attribute_set("generation", bytes_of_text(i == 0 ? "2\n" : "3\n"));
        if (fd < 0 || !write_all(fd, buffer_bytes(b), &err))
            abort();
        (void) close(fd); /* everything has been written */
        if (i < 2) /* let the reader see the end before the pipe is opened again */
            usleep(20000);
    }
    return NULL;
}

static void asks_again_when_another_request_came_between(void **state)
{
    AUTO(buffer) struct buffer      quote    = own_vector("tdx/intel_v4/quote.bin");
    AUTO(attester) struct attester *a        = NULL;
    AUTO(attested) struct attested  evidence = { 0 };
    uint8_t                         report_data[REPORT_DATA_LEN];
    char                            path[256];
    pthread_t                       thread;
    struct err                      err;

    (void) state;
    attribute_set("provider", bytes_of_text("tdx_guest\n"));
    attribute_drop("outblob");
    (void) snprintf(path, sizeof path, "%s/entry/outblob", root);
    assert_int_equal(mkfifo(path, 0600), 0);
    report_data_of(&quote, QUOTE_REPORT_DATA, report_data);
    assert_true(open_double(&a, &err));
    assert_int_equal(pthread_create(&thread, NULL, meddler, &quote), 0);
    if (!a->evidence(a, report_data, &evidence, &err))
        fail_msg("%s", err.text);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(bytes_equal(buffer_bytes(&evidence.report), buffer_bytes(&quote)));
}

static void names_what_is_missing(void **state)
{
    const struct tsm_options nowhere = { "/nonexistent/tsm", NULL, NULL };
    struct attester         *a       = NULL;
    struct err               err;

    (void) state;
    assert_false(tsm_attester_open(&nowhere, &a, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
    attribute_set("provider", bytes_of_text("arm_cca_guest\n"));
    assert_false(open_double(&a, &err));
    assert_int_equal(err.kind, ERR_UNSUPPORTED);
    assert_null(a);
}

/* In an ordinary directory a new entry has no attributes: the request fails, and nothing stays behind. */
static void removes_the_entry_it_made(void **state)
{
    const struct tsm_options o = { root, NULL, NULL };
    struct attester         *a = NULL;
    AUTO(dir) DIR           *dir;
    size_t                   n = 0;
    struct err               err;

    (void) state;
    assert_false(tsm_attester_open(&o, &a, &err));
    dir = opendir(root);
    assert_non_null(dir);
    while (readdir(dir))
        n++;
    assert_int_equal(n, 3); /* ".", ".." and the double's own entry */
}

/* The kernel's attribute extends by what one write brings; this file only keeps it. */
static void a_quotes_fourth_register_is_extended_where_the_kernel_has_it(void **state)
{
    AUTO(buffer) struct buffer     written = { 0 };
    AUTO(attester) struct attester *a = NULL, *bare = NULL, *snp = NULL;
    char                           path[256];
    struct tsm_options             o = { root, "entry", "nonexistent", path };
    uint8_t                        digest[48];
    struct err                     err;

    (void) state;
    memset(digest, 0x5a, sizeof digest);
    attribute_set("provider", bytes_of_text("tdx_guest\n"));
    attribute_set("rtmr3:sha384", (struct bytes){ 0 });
    (void) snprintf(path, sizeof path, "%s/entry/rtmr3:sha384", root);
    assert_true(tsm_attester_open(&o, &a, &err));
    assert_string_equal(a->runtime.name, "rtmr3");
    assert_int_equal(a->runtime.index, 4);
    assert_true(a->extend(a, BYTES_OF(digest), &err));
    assert_true(file_read(path, 4096, &written, &err));
    assert_true(bytes_equal(buffer_bytes(&written), BYTES_OF(digest)));
    attribute_drop("rtmr3:sha384");
    assert_false(a->extend(a, BYTES_OF(digest), &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_true(tsm_attester_open(&o, &bare, &err));
    assert_null(bare->runtime.name);
    assert_true(bare->extend == NULL);
    attribute_set("rtmr3:sha384", (struct bytes){ 0 });
    attribute_set("provider", bytes_of_text("sev_guest\n"));
    assert_true(tsm_attester_open(&o, &snp, &err));
    assert_null(snp->runtime.name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gives_a_tdx_quote_over_the_report_data, double_make, double_remove),
        cmocka_unit_test_setup_teardown(gives_an_snp_report_with_the_hosts_certificates, double_make, double_remove),
        cmocka_unit_test_setup_teardown(refuses_a_report_about_something_else_and_leaves_out_empty, double_make,
                                        double_remove),
        cmocka_unit_test_setup_teardown(refuses_an_empty_blob, double_make, double_remove),
        cmocka_unit_test_setup_teardown(asks_again_when_another_request_came_between, double_make, double_remove),
        cmocka_unit_test_setup_teardown(names_what_is_missing, double_make, double_remove),
        cmocka_unit_test_setup_teardown(a_quotes_fourth_register_is_extended_where_the_kernel_has_it, double_make, double_remove),
        cmocka_unit_test_setup_teardown(removes_the_entry_it_made, double_make, double_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
