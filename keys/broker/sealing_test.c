#include "keys/broker/sealing.h"
#include "tests/harness/test.h"

enum { JOBS = 64, ROUNDS = 20 };

struct guest {
    EVP_PKEY  *key;
    struct jwk jwk;
};

static struct guest guest_new(const char *alg)
{
    struct guest g = { 0 };
    struct err   err;

    assert_true(jwk_generate_p256(&g.key, &err) && jwk_of_key(g.key, alg, &g.jwk, &err));
    return g;
}

static void guest_free(struct guest *g)
{
    jwk_free(&g->jwk);
    EVP_PKEY_free(g->key);
}

static struct sealing *job_of(const struct guest *g, uint8_t first)
{
    struct secret   value = { 0 };
    struct sealing *job;
    struct err      err;

    assert_true(secret_random(32, &value, &err));
    value.held[0] = first;
    job           = sealing_new(&g->jwk, &value);
    assert_null(value.held);
    return job;
}

/* Opens with the guest's key, to the secret that it was made of. */
static void assert_sealed(const struct sealing *job, const struct guest *g, uint8_t first)
{
    AUTO(secret) struct secret opened = { 0 };
    struct err                 err;

    assert_true(job->is_sealed);
    assert_null(job->value.held);
    assert_true(jwe_open(buffer_bytes(&job->sealed), 4096, g->key, &opened, &err));
    assert_int_equal(secret_expose(&opened).at[0], first);
}

static void seals_rounds(size_t threads)
{
    AUTO(sealers) struct sealers *sealers = sealers_new(threads);
    struct guest                  guests[2] = { guest_new("ECDH-ES+A256KW"), guest_new("ECDH-ES+A256KW") };
    struct sealing               *jobs[JOBS];

    for (int round = 0; round < ROUNDS; round++) {
        for (uint8_t i = 0; i < JOBS; i++) {
            jobs[i] = job_of(&guests[i % 2], i);
            sealers_ask(sealers, jobs[i]);
        }
        sealers_finish(sealers);
        for (uint8_t i = 0; i < JOBS; i++) {
            assert_sealed(jobs[i], &guests[i % 2], i);
            sealing_free(jobs[i]);
        }
    }
    guest_free(&guests[0]);
    guest_free(&guests[1]);
}

static void seals_with_threads(void **state)
{
    (void) state;
    seals_rounds(3);
}

static void whoever_waits_seals_alone_when_there_is_no_thread(void **state)
{
    (void) state;
    seals_rounds(0);
}

/* The header holds the ephemeral key, and nothing else that differs. */
static struct bytes header_of(struct sealing *job)
{
    static const char BEFORE[] = "{\"protected\":\"";
    const char       *text     = buffer_text(&job->sealed);

    assert_memory_equal(text, BEFORE, sizeof BEFORE - 1);
    return (struct bytes){ (const uint8_t *) text + sizeof BEFORE - 1, strcspn(text + sizeof BEFORE - 1, "\"") };
}

static void no_message_shares_an_ephemeral_key(void **state)
{
    AUTO(sealers) struct sealers *sealers = sealers_new(1);
    struct guest                  g       = guest_new("ECDH-ES+A256KW");
    struct sealing               *jobs[2] = { job_of(&g, 1), job_of(&g, 2) };

    (void) state;
    sealers_ask(sealers, jobs[0]);
    sealers_ask(sealers, jobs[1]);
    sealers_finish(sealers);
    assert_true(header_of(jobs[0]).len > 0);
    assert_false(bytes_equal(header_of(jobs[0]), header_of(jobs[1])));
    sealing_free(jobs[0]);
    sealing_free(jobs[1]);
    guest_free(&g);
}

static void a_failure_is_told_and_the_value_wiped_all_the_same(void **state)
{
    AUTO(sealers) struct sealers *sealers = sealers_new(1);
    struct guest                  g       = guest_new("ES256");
    AUTO(sealing) struct sealing *job     = job_of(&g, 1);

    (void) state;
    sealers_ask(sealers, job);
    sealers_finish(sealers);
    assert_false(job->is_sealed);
    assert_null(job->value.held);
    assert_int_equal(job->err.kind, ERR_UNSUPPORTED);
    guest_free(&g);
}

static void nothing_asked_is_finished_at_once(void **state)
{
    AUTO(sealers) struct sealers *sealers = sealers_new(2);

    (void) state;
    sealers_finish(sealers);
    sealers_finish(sealers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seals_with_threads),
        cmocka_unit_test(whoever_waits_seals_alone_when_there_is_no_thread),
        cmocka_unit_test(no_message_shares_an_ephemeral_key),
        cmocka_unit_test(a_failure_is_told_and_the_value_wiped_all_the_same),
        cmocka_unit_test(nothing_asked_is_finished_at_once),
    };
    struct err err;

    return secret_heap_open(&err) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
