/* Where a turn's writes are: what is judged before the store is touched, and what becomes of it. */
#include "keys/broker/routes.h"

#include <string.h>

#include "base/text.h"
#include "tests/harness/test.h"

enum { NOW = 1000000, LIFE = 300 };

struct world {
    struct broker broker;
    EVP_PKEY     *tee_key;
    struct jwk    jwk;
};

static int world_open(void **state)
{
    static struct world        w;
    struct appraiser_options   roots = { .sample = true };
    AUTO(secret) struct secret key   = { 0 };
    struct err                 err;

    w = (struct world){ .broker = { .session_s = LIFE } };
    assert_true(secret_random(32, &key, &err) && store_open(":memory:", &key, &w.broker.store, &err) &&
                challenge_key(&key, &w.broker.challenge_key, &err) && appraiser_new(&roots, &w.broker.appraiser, &err) &&
                policy_engine_new(&w.broker.engine, &err) && jwk_generate_p256(&w.tee_key, &err) &&
                jwk_of_key(w.tee_key, "ECDH-ES+A256KW", &w.jwk, &err));
    w.broker.issuer = (struct ear_issuer){ .key = EVP_EC_gen("P-256"), .certificate = bytes_of_text("cert"), .name = "n" };
    *state = &w;
    return 0;
}

static int world_close(void **state)
{
    struct world *w = *state;

    jwk_free(&w->jwk);
    EVP_PKEY_free(w->tee_key);
    EVP_PKEY_free(w->broker.issuer.key);
    secret_free(&w->broker.challenge_key);
    policy_engine_free(w->broker.engine);
    appraiser_free(w->broker.appraiser);
    store_close(w->broker.store);
    return 0;
}

static struct answer ask(struct world *w, const char *method, const char *path, const char *session, struct bytes body)
{
    struct request request = { .method = method, .path = path, .session = session, .faces = FACE_GUESTS, .body = body, .now = NOW };
    struct answer  answer  = { 0 };

    broker_answer(&w->broker, &request, &answer);
    return answer;
}

/* The body of an attestation with evidence of TEE sample; with `is_forged`, of another key than its own. */
static void attestation_write(struct world *w, const char *nonce, bool is_forged, struct buffer *out)
{
    AUTO(buffer) struct buffer evidence = { 0 };
    uint8_t                    digest[RCAR_DIGEST_LEN];
    struct err                 err;

    assert_true(rcar_report_data("", nonce, &w->jwk, digest, &err));
    digest[0] ^= is_forged;
    buffer_append_text(&evidence, "{\"svn\":\"1\",\"report_data\":\"");
    base64_append(&evidence, BYTES_OF(digest), BASE64_STANDARD);
    buffer_append_text(&evidence, "\"}");
    rcar_attestation_write((struct bytes){ 0 }, nonce, &w->jwk, buffer_bytes(&evidence), out);
}

/* Asks for a challenge, and answers it. */
static struct answer attest(struct world *w, bool is_forged, char session[static CHALLENGE_ID_LEN + 1])
{
    static const char          HELLO[]   = "{\"version\":\"0.4.0\",\"tee\":\"sample\",\"extra-params\":\"\"}";
    AUTO(answer) struct answer challenge = ask(w, "POST", KBS_PREFIX "/auth", NULL, bytes_of_text(HELLO));
    AUTO(buffer) struct buffer body      = { 0 };
    char                       nonce[CHALLENGE_NONCE_LEN + 1];

    assert_int_equal(challenge.status, 200);
    memcpy(session, challenge.session, CHALLENGE_ID_LEN + 1);
    assert_int_equal(sscanf(buffer_text(&challenge.body), "{\"nonce\":\"%44[^\"]", nonce), 1);
    attestation_write(w, nonce, is_forged, &body);
    return ask(w, "POST", KBS_PREFIX "/attest", session, buffer_bytes(&body));
}

static uint64_t entries(struct world *w) { return store_audit_tree(w->broker.store)->size; }

static void commit(struct world *w)
{
    struct err err;

    assert_true(store_commit(w->broker.store, &err));
}

static void evidence_is_judged_before_the_store_is_locked(void **state)
{
    struct world              *w = *state;
    char                       session[CHALLENGE_ID_LEN + 1];
    AUTO(answer) struct answer answer = attest(w, false, session);

    assert_int_equal(answer.status, 200);
    assert_non_null(answer.pending);
    assert_false(store_is_dirty(w->broker.store));
    broker_write(&w->broker, &answer);
    assert_null(answer.pending);
    assert_int_equal(answer.status, 200);
    assert_true(store_is_dirty(w->broker.store));
    commit(w);
    assert_int_equal(entries(w), 1);
}

static void a_refusal_too_is_written_later(void **state)
{
    struct world              *w = *state;
    char                       session[CHALLENGE_ID_LEN + 1];
    AUTO(answer) struct answer answer = attest(w, true, session);

    assert_int_equal(answer.status, 401);
    assert_non_null(answer.pending);
    assert_false(store_is_dirty(w->broker.store));
    broker_write(&w->broker, &answer);
    assert_int_equal(answer.status, 401);
    commit(w);
    assert_int_equal(entries(w), 1);
}

/* Another broker of the same store was first. */
static void a_session_that_is_spent_meanwhile_gets_no_token(void **state)
{
    struct world              *w = *state;
    char                       session[CHALLENGE_ID_LEN + 1];
    AUTO(answer) struct answer answer = attest(w, false, session);
    struct err                 err;

    assert_true(store_session_add(w->broker.store, session, NOW + LIFE, bytes_of_text("another"), &err));
    commit(w);
    broker_write(&w->broker, &answer);
    commit(w);
    assert_int_equal(answer.status, 401);
    assert_non_null(strstr(buffer_text(&answer.body), "spent already"));
    assert_null(strstr(buffer_text(&answer.body), "token\""));
    assert_string_equal(answer.session, "");
    assert_int_equal(entries(w), 0);
}

static void entry_keep(void *owner, uint64_t number, struct bytes entry)
{
    struct buffer *all = owner;

    (void) number;
    buffer_append(all, entry);
    buffer_append_text(all, "\n");
}

/* A guest that attested, a policy that lets all have all, and a secret. */
static void secret_prepare(struct world *w, char session[static CHALLENGE_ID_LEN + 1])
{
    static const char          POLICY[] = "package policy\nallow = true\n";
    AUTO(answer) struct answer attested = attest(w, false, session);
    AUTO(secret) struct secret value    = { 0 };
    struct document            policy   = { .name = RELEASE_POLICY_ALL, .text = bytes_of_text(POLICY), .changed = NOW, .by = "ann" };
    struct err                 err;

    broker_write(&w->broker, &attested);
    assert_true(secret_copy(bytes_of_text("top"), &value, &err) && store_resource_put(w->broker.store, "a/b/c", &value, USES_UNLIMITED, NOW, &err) &&
                store_document_put(w->broker.store, DOCUMENT_RESOURCE_POLICY, &policy, &err));
    commit(w);
}

/* One line that it was released, before it is known whether it can be sealed; a second one when it could not. */
static void a_secret_that_cannot_be_sealed_is_told_as_not_delivered(void **state)
{
    static const struct { enum err_kind kind; unsigned status; const char *says; } ROWS[] = {
        { ERR_BUG, 500, "internal error" }, { ERR_LIMIT, 503, "ask again" }
    };
    struct world              *w = *state;
    char                       session[CHALLENGE_ID_LEN + 1];
    AUTO(buffer) struct buffer log = { 0 };
    struct err                 err;

    secret_prepare(w, session);
    for (size_t i = 0; i < 2; i++) {
        AUTO(answer) struct answer answer   = ask(w, "GET", KBS_PREFIX "/resource/a/b/c", session, (struct bytes){ 0 });
        struct request             delivery = { .path = KBS_PREFIX "/resource/a/b/c", .now = NOW };
        uint64_t                   before;

        assert_int_equal(answer.status, 200);
        assert_non_null(answer.sealing);
        commit(w);
        before = entries(w);
        (void) fail_with(&answer.sealing->err, ROWS[i].kind, "no room for the key");
        broker_deliver(&w->broker, &delivery, &answer);
        assert_int_equal(answer.status, ROWS[i].status);
        assert_non_null(strstr(buffer_text(&answer.body), ROWS[i].says));
        assert_null(answer.sealing);
        assert_true(store_is_dirty(w->broker.store));
        commit(w);
        assert_int_equal(entries(w), before + 1);
    }
    assert_true(store_audit_each(w->broker.store, 0, 100, entry_keep, &log, &err));
    assert_non_null(strstr(buffer_text(&log), "\"verdict\":\"released\""));
    assert_non_null(strstr(buffer_text(&log), "\"event\":\"release\",\"verdict\":\"not delivered\",\"evidence\":\""));
    assert_non_null(strstr(buffer_text(&log), "\"resource\":\"a/b/c\",\"reason\":\"no room for the key\"}"));
}

static void only_routes_that_write_nothing_are_early(void **state)
{
    static const char *const EARLY[][2] = { { "POST", KBS_PREFIX "/auth" }, { "POST", KBS_PREFIX "/attest" }, { "GET", "/healthz" },
                                            { "GET", "/.well-known/jwks.json" } };
    static const char *const LATE[][2]  = { { "GET", KBS_PREFIX "/resource/a/b/c" }, { "POST", KBS_PREFIX "/resource/a/b/c" },
                                            { "POST", "/cloister/v1/epochs/a/b/c" }, { "GET", KBS_PREFIX "/attest" },
                                            { "POST", KBS_PREFIX "/resource-policy" }, { "GET", "/nowhere" } };

    (void) state;
    for (size_t i = 0; i < sizeof EARLY / sizeof *EARLY; i++)
        assert_true(broker_answers_early(EARLY[i][0], EARLY[i][1]));
    for (size_t i = 0; i < sizeof LATE / sizeof *LATE; i++)
        assert_false(broker_answers_early(LATE[i][0], LATE[i][1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(evidence_is_judged_before_the_store_is_locked, world_open, world_close),
        cmocka_unit_test_setup_teardown(a_refusal_too_is_written_later, world_open, world_close),
        cmocka_unit_test_setup_teardown(a_session_that_is_spent_meanwhile_gets_no_token, world_open, world_close),
        cmocka_unit_test_setup_teardown(a_secret_that_cannot_be_sealed_is_told_as_not_delivered, world_open, world_close),
        cmocka_unit_test(only_routes_that_write_nothing_are_early),
    };
    struct err err;

    return secret_heap_open(&err) ? cmocka_run_group_tests(tests, NULL, NULL) : 1;
}
