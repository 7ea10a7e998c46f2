/* A real broker process on loopback with a folder of its own, and a guest whose evidence it may accept. */
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/ossl.h"
#include "base/process.h"
#include "base/toml.h"
#include "keys/api/development_root.h"
#include "attestation/evidence/snp_evidence.h"
#include "keys/client/admin.h"
#include "keys/client/kbs.h"
#include "tests/harness/test.h"

struct test_broker {
    char          *folder;
    char           url[64];
    char           admin_url[64]; /* the same, unless administrators have a listener of their own */
    struct buffer  ca;
    struct process process;
    struct development_root root;
    const char    *config; /* NULL: --dev; else a file in the folder */
    bool           has_admin_listener; /* by that configuration */
    char           metrics_url[64];    /* the same */
    int            log;                /* descriptor of the broker's standard error; 0: ours */
};

static inline void assert_fine(bool fine, const struct err *err)
{
    if (!fine)
        fail_msg("%s", err->text);
}

static inline void test_broker_path(const struct test_broker *b, const char *name, char path[static PATH_MAX])
{
    (void) snprintf(path, PATH_MAX, "%s/%s", b->folder, name); /* a cut path fails to open */
}

static inline void test_broker_line(int fd, const char *says, char url[static 64])
{
    char   line[256];
    size_t n = 0;

    while (n < sizeof line - 1 && read(fd, line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = 0;
    if (strncmp(line, says, strlen(says)) != 0 || sscanf(line + strlen(says), "%63s", url) != 1)
        fail_msg("the broker does not say that it listens: \"%s\"", line);
}

#define TEST_BROKER_OBSERVED "observed.toml" /* the name of a configuration that has metrics_listen */

/* What --dev made in the folder, as a configuration file with `more` behind it; it must name a store. */
static inline void test_broker_configure(const struct test_broker *b, const char *name, const char *more)
{
    static const char *const FILES[][2] = {
        { "store_key", "store.key" }, { "tls_certificate", "server.pem" }, { "tls_key", "server.key" },
        { "token_certificate", "token.pem" }, { "token_key", "token.key" }, { "admin_key", "admin.pub" },
        { "development_root", DEVELOPMENT_FOLDER },
    };
    AUTO(buffer) struct buffer toml = { 0 };
    char                       path[PATH_MAX];
    struct err                 err;

    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
        test_broker_path(b, FILES[i][1], path);
        buffer_printf(&toml, "%s = ", FILES[i][0]);
        toml_append_text(&toml, path);
        buffer_append_text(&toml, "\n");
    }
    if (!strstr(more, "shed_ms")) /* a test that does not mean to overload it is never told to come back */
        buffer_append_text(&toml, "shed_ms = 60000\n");
    buffer_printf(&toml, "snp_crl_required = false\nadmin_listen = \"same\"\n%s", more);
    test_broker_path(b, name, path);
    assert_fine(file_write(path, buffer_bytes(&toml), 0600, &err), &err);
}

/* Starts, or starts again, on a port of its own; waits for the line that says it listens. */
static inline void test_broker_start(struct test_broker *b)
{
    const char *build = getenv("CLOISTER_BUILD");
    char        program[PATH_MAX], config[PATH_MAX];
    int         pipes[2];
    struct err  err;

    (void) snprintf(program, sizeof program, "%s/cloister-broker", build ? build : "."); /* a cut path does not start */
    if (b->config)
        test_broker_path(b, b->config, config);
    const char *argv[] = { program, b->config ? "--config" : "--dev", b->config ? config : b->folder, "--listen", "127.0.0.1:0",
                           NULL };

    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    struct process_fd      fds[]   = { { pipes[1], 1 }, { b->log, 2 } };
    struct process_options options = { .argv = argv, .fds = fds, .n_fds = b->log ? 2 : 1, .dies_with_us = true };

    assert_fine(process_start(&options, &b->process, &err), &err);
    (void) close(pipes[1]);
    test_broker_line(pipes[0], "listening on ", b->url);
    memcpy(b->admin_url, b->url, sizeof b->url);
    if (b->has_admin_listener)
        test_broker_line(pipes[0], "administration on ", b->admin_url);
    if (b->config && strcmp(b->config, TEST_BROKER_OBSERVED) == 0)
        test_broker_line(pipes[0], "metrics on ", b->metrics_url);
    (void) close(pipes[0]);
}

static inline void test_broker_make(struct test_broker *b)
{
    char       path[PATH_MAX];
    struct err err;

    *b = (struct test_broker){ .process = NO_PROCESS };
    assert_fine(secret_heap_open(&err) && directory_make_temporary("broker-", &b->folder, &err), &err);
    test_broker_start(b);
    test_broker_path(b, "ca.pem", path);
    assert_fine(file_read(path, 1 << 16, &b->ca, &err), &err);
    test_broker_path(b, DEVELOPMENT_FOLDER, path);
    assert_fine(development_root_load(path, &b->root, &err), &err);
}

/* Ends it by `signal_number`; returns its exit code. */
static inline int test_broker_stop(struct test_broker *b, int signal_number)
{
    int        status = -1;
    struct err err;

    process_signal(&b->process, signal_number);
    assert_fine(process_wait(&b->process, 20000, &status, &err), &err);
    b->process = NO_PROCESS;
    return process_exit_code(status);
}

static inline void test_broker_free(struct test_broker *b)
{
    struct err err;

    process_kill(&b->process);
    assert_fine(directory_remove(b->folder, &err), &err);
    free(b->folder);
    buffer_free(&b->ca);
    development_root_free(&b->root);
}

/* GET of what monitors see, by plain HTTP; the whole answer. */
static inline void test_broker_observe(const struct test_broker *b, const char *path, struct buffer *answer)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t) atoi(strrchr(b->metrics_url, ':') + 1)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    AUTO(fd) int               fd      = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    AUTO(buffer) struct buffer request = { 0 };
    struct err                 err;

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &to, sizeof to), 0);
    buffer_printf(&request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path);
    assert_fine(write_all(fd, buffer_bytes(&request), &err), &err);
    assert_fine(file_read_fd(fd, 1 << 20, answer, &err), &err);
    (void) buffer_text(answer); /* puts the zero behind it */
}

static inline struct admin_client *test_admin(const struct test_broker *b)
{
    AUTO(buffer) struct buffer key    = { 0 };
    struct admin_client       *client = NULL;
    char                       path[PATH_MAX];
    struct err                 err;

    test_broker_path(b, "admin.key", path);
    assert_fine(file_read(path, 1 << 16, &key, &err), &err);
    struct admin_options options = { .url = b->admin_url, .ca_pem = buffer_bytes(&b->ca), .key_pem = buffer_bytes(&key) };
    assert_fine(admin_client_new(&options, &client, &err), &err);
    return client;
}

/* A guest on the simulated platform, and what is wrong with its evidence. */
struct test_guest {
    const struct development_root *root;
    uint8_t                        measurement[48], host_data[32];
    uint64_t                       policy;
    bool                           breaks_signature;
    const uint8_t                 *report_data; /* 48 bytes of another key or nonce; NULL: those asked for */
};

static inline void test_report_sign(EVP_PKEY *key, uint8_t *report)
{
    AUTO(md_ctx) EVP_MD_CTX   *md = EVP_MD_CTX_new();
    AUTO(ecdsa_sig) ECDSA_SIG *sig;
    uint8_t                    der[256];
    const unsigned char       *at  = der;
    size_t                     len = sizeof der;

    assert_int_equal(EVP_DigestSignInit(md, NULL, EVP_sha384(), NULL, key), 1);
    assert_int_equal(EVP_DigestSign(md, der, &len, report, 0x2a0), 1);
    sig = d2i_ECDSA_SIG(NULL, &at, (long) len);
    assert_non_null(sig);
    assert_int_equal(BN_bn2lebinpad(ECDSA_SIG_get0_r(sig), report + 0x2a0, 72), 72);
    assert_int_equal(BN_bn2lebinpad(ECDSA_SIG_get0_s(sig), report + 0x2e8, 72), 72);
}

/* A version 3 report over 48 bytes of report data. [snp.md 1] */
static inline void test_report_make(const struct test_guest *guest, const uint8_t *report_data, uint8_t *report)
{
    static const size_t  TCBS[] = { 0x38, 0x180, 0x1e0, 0x1f0 };
    struct writer        head   = writer_over(report, 0x38);

    memset(report, 0, SNP_EVIDENCE_REPORT_LEN);
    put_u32le(&head, 3);
    put_u32le(&head, 0);
    put_u64le(&head, guest->policy);
    put_zeros(&head, 32); /* family, image */
    put_u32le(&head, 0);  /* VMPL */
    put_u32le(&head, 1);  /* ECDSA P-384 with SHA-384 */
    report[0x40] = 0x25;  /* SMT, ECC, alias check done */
    memcpy(report + 0x50, guest->report_data ? guest->report_data : report_data, 48);
    memcpy(report + 0x90, guest->measurement, 48);
    memcpy(report + 0xc0, guest->host_data, 32);
    memset(report + 0x140, 0x5a, 32);
    memset(report + 0x160, 0xff, 32);
    for (size_t i = 0; i < sizeof TCBS / sizeof *TCBS; i++) {
        uint8_t *tcb = report + TCBS[i];

        tcb[0] = DEVELOPMENT_BOOTLOADER;
        tcb[1] = DEVELOPMENT_TEE;
        tcb[6] = DEVELOPMENT_SNP;
        tcb[7] = DEVELOPMENT_MICROCODE;
    }
    report[0x188] = DEVELOPMENT_CPUID_FAMILY;
    report[0x189] = DEVELOPMENT_CPUID_MODEL;
    report[0x18a] = DEVELOPMENT_CPUID_STEP;
    memcpy(report + 0x1a0, guest->root->chip_id, DEVELOPMENT_CHIP_ID_LEN);
    report[0x1e8] = report[0x1ec] = 40; /* firmware 1.55.40 */
    report[0x1e9] = report[0x1ed] = 55;
    report[0x1ea] = report[0x1ee] = 1;
    test_report_sign(guest->root->vcek_key, report);
    if (guest->breaks_signature)
        report[0x2a0] ^= 1;
}

static inline bool test_evidence(void *owner, const uint8_t report_data[static KBS_REPORT_DATA_LEN], struct buffer *json,
                                 struct err *err)
{
    const struct test_guest *guest = owner;
    uint8_t                  report[SNP_EVIDENCE_REPORT_LEN];

    test_report_make(guest, report_data, report);
    return snp_evidence_write(BYTES_OF(report), false, buffer_bytes(&guest->root->vcek), buffer_bytes(&guest->root->ask),
                              buffer_bytes(&guest->root->ark), json, err);
}

static inline struct test_guest test_guest_good(const struct test_broker *b)
{
    struct test_guest guest = { .root = &b->root, .policy = 0x30000 };

    memset(guest.measurement, 0x11, sizeof guest.measurement);
    memset(guest.host_data, 0x22, sizeof guest.host_data);
    return guest;
}
