/* What a client leaves in memory of the key of its session and of its token, once both are given up: nothing. */
#include "base/text.h"
#include "tests/harness/broker.h"
#include "tests/harness/traces.h"

static struct test_broker broker;

static int make(void **state)
{
    (void) state;
    test_broker_make(&broker);
    return 0;
}

static int clean(void **state)
{
    (void) state;
    test_broker_free(&broker);
    return 0;
}

/* The lines of the key's PEM between the first, which says what it is, and the last, which may be short; then the token's signature. */
static void secrets_tell(const struct secret *pair, int fd)
{
    enum { LINE = 64, ESCAPED_END = 2, SIGNATURE = 80 };
    const char *text  = (const char *) pair->held;
    const char *begin = strstr(text, "PRIVATE KEY-----");
    const char *end   = strstr(text, "\",\"tee_keypair\"");

    assert_true(begin && end && end - text > SIGNATURE);
    begin = strstr(begin, "\\n") + ESCAPED_END + LINE + ESCAPED_END;
    assert_int_equal(write(fd, begin, LINE), LINE);
    assert_int_equal(write(fd, end - SIGNATURE, SIGNATURE), SIGNATURE);
}

static void take_a_token(int fd)
{
    struct test_guest                   guest    = test_guest_good(&broker);
    struct kbs_attester                 attester = { .tee = "snp", .evidence = test_evidence, .owner = &guest };
    struct kbs_options                  options  = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca) };
    AUTO(kbs_client) struct kbs_client *client   = NULL;
    AUTO(secret) struct secret          pair     = { 0 }, again = { 0 };
    char                               *mark     = strdup(TRACES_MARK); /* leaked by design */
    struct err                          err;

    assert_non_null(mark);
    assert_fine(kbs_client_new(&options, &client, &err) && kbs_attest(client, &attester, NULL, &err) &&
                    kbs_token_get(client, &attester, 0, &pair, &err) && kbs_token_get(client, &attester, INT64_MAX / 2, &again, &err), &err);
    secrets_tell(&again, fd);
    assert_true(pair.len > 0);
}

static void value_register(struct admin_client *admin, const char *kind, const uint8_t *value, size_t len)
{
    AUTO(buffer) struct buffer hex = { 0 };
    uint64_t                   id;
    struct err                 err;

    hex_append(&hex, (struct bytes){ value, len });
    struct admin_reference reference = { .kind = kind, .tee = "snp", .value = buffer_text(&hex) };
    assert_fine(admin_reference_add(admin, &reference, &id, &err), &err);
}

/* What an owner gives to a broker, and a guest gets from it. */
static void give_and_take_a_resource(int fd)
{
    enum { VALUE_LEN = 30000 };
    static const char                   uri[]    = "kbs:///default/traces/1";
    struct test_guest                   guest    = test_guest_good(&broker);
    struct kbs_attester                 attester = { .tee = "snp", .evidence = test_evidence, .owner = &guest };
    struct kbs_options                  options  = { .url = broker.url, .ca_pem = buffer_bytes(&broker.ca) };
    AUTO(kbs_client) struct kbs_client *client   = NULL;
    AUTO(secret) struct secret          value    = { 0 }, got = { 0 }, back = { 0 };
    char                               *mark     = strdup(TRACES_MARK); /* leaked by design */
    struct err                          err;

    assert_non_null(mark);
    {
        AUTO(admin_client) struct admin_client *admin = test_admin(&broker);

        value_register(admin, "measurement", guest.measurement, sizeof guest.measurement);
        value_register(admin, "initdata", guest.host_data, sizeof guest.host_data);
        assert_fine(secret_random(VALUE_LEN, &value, &err) && admin_resource_put(admin, uri, &value, &err) &&
                        admin_resource_get(admin, uri, &back, &err), &err);
        assert_true(secret_equal(&value, &back));
    }
    assert_fine(kbs_client_new(&options, &client, &err) && kbs_attest(client, &attester, NULL, &err) &&
                    kbs_resource_get(client, uri, &got, &err), &err);
    assert_true(secret_equal(&value, &got));
    assert_int_equal(write(fd, value.held, 4096), 4096);
}

static void of_a_resource_nothing_stays(void **state)
{
    (void) state;
    assert_no_traces_of(give_and_take_a_resource);
}

static void of_its_key_and_its_token_nothing_stays(void **state)
{
    (void) state;
    assert_no_traces_of(take_a_token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_resource_nothing_stays),
        cmocka_unit_test(of_its_key_and_its_token_nothing_stays),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
