/* A broker with an operator: a configuration of its own, monitored, with one key that a guest may have. */
#pragma once

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "base/text.h"
#include "keys/api/rcar.h"
#include "keys/broker/credentials.h"
#include "keys/client/http.h"
#include "tests/harness/broker.h"
#include "tests/harness/traces.h"

#define URI "kbs:///default/very-secret-name/1"

enum { IDLE_WANTED = 10000, IDLE_SANITIZED = 500, FDS_BESIDES = 256, PATIENCE_S = 120 };

static struct test_broker broker;
static struct secret      key;

/* The broker's configuration; `more` are further keys. */
static inline void configure(const char *more)
{
    AUTO(buffer) struct buffer toml = { 0 };
    char                       path[PATH_MAX];

    test_broker_path(&broker, "store.db", path);
    buffer_append_text(&toml, "store = ");
    toml_append_text(&toml, path);
    buffer_printf(&toml, "\nmetrics_listen = \"127.0.0.1:0\"\n%s", more);
    test_broker_configure(&broker, TEST_BROKER_OBSERVED, buffer_text(&toml));
}

static inline void value_register(struct admin_client *admin, const char *kind, const uint8_t *value, size_t len)
{
    AUTO(buffer) struct buffer hex = { 0 };
    uint64_t                   id;
    struct err                 err;

    hex_append(&hex, (struct bytes){ value, len });
    struct admin_reference reference = { .kind = kind, .tee = "snp", .value = buffer_text(&hex) };
    assert_fine(admin_reference_add(admin, &reference, &id, &err), &err);
}

static inline int operated_make(void **state)
{
    struct test_guest good;
    struct err        err;

    (void) state;
    test_broker_make(&broker);
    AUTO(admin_client) struct admin_client *admin = test_admin(&broker);

    good = test_guest_good(&broker);
    assert_fine(secret_random(32, &key, &err) && admin_resource_put(admin, URI, &key, &err), &err);
    value_register(admin, "measurement", good.measurement, 48);
    value_register(admin, "initdata", good.host_data, 32);
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    broker.config = TEST_BROKER_OBSERVED;
    configure("");
    test_broker_start(&broker);
    return 0;
}

static inline int operated_clean(void **state)
{
    (void) state;
    secret_free(&key);
    test_broker_free(&broker);
    return 0;
}

static inline int port_of(const char *url) { return atoi(strrchr(url, ':') + 1); }

static inline int connected(int port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int                fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &to, sizeof to), 0);
    return fd;
}

static inline uint64_t metric(const char *name)
{
    AUTO(buffer) struct buffer answer = { 0 }, line = { 0 };
    const char                *at;

    test_broker_observe(&broker, "/metrics", &answer);
    buffer_printf(&line, "\ncloister_broker_%s ", name);
    at = strstr(buffer_text(&answer), buffer_text(&line));
    if (!at)
        fail_msg("there is no metric %s", name);
    return strtoull(at + line.len, NULL, 10);
}

static inline bool attests_and_gets_the_key(const struct test_broker *at, struct bytes ca, struct err *err)
{
    struct test_guest                   guest    = test_guest_good(&broker);
    struct kbs_attester                 attester = { .tee = "snp", .evidence = test_evidence, .owner = &guest };
    struct kbs_options                  options  = { .url = at->url, .ca_pem = ca };
    AUTO(kbs_client) struct kbs_client *client   = NULL;
    AUTO(secret) struct secret          got      = { 0 };

    return kbs_client_new(&options, &client, err) && kbs_attest(client, &attester, NULL, err) &&
           kbs_resource_get(client, URI, &got, err) && secret_equal(&got, &key);
}

static inline void assert_serves(void)
{
    struct err err = { 0 };

    assert_fine(attests_and_gets_the_key(&broker, buffer_bytes(&broker.ca), &err), &err);
}

static inline void restart_with(const char *more)
{
    assert_int_equal(test_broker_stop(&broker, SIGTERM), 0);
    configure(more);
    test_broker_start(&broker);
}
