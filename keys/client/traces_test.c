/* What a client leaves in memory of the key of its session and of its token, once both are given up: nothing. */
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

static void of_its_key_and_its_token_nothing_stays(void **state)
{
    (void) state;
    assert_no_traces_of(take_a_token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_its_key_and_its_token_nothing_stays),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
