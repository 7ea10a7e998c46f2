#include "tests/harness/json_vectors.h"

#include "base/text.h"
#include "keys/ocicrypt/keyprovider.h"
#include "keys/ocicrypt/packet.h"

static bool file_key(void *owner, const char *path, struct secret *out, struct err *err)
{
    (void) owner;
    if (strcmp(path, "/key") != 0)
        return fail_with(err, ERR_NOT_FOUND, "no key file %s", path);
    return secret_copy(bytes_of_text("0123456789abcdef0123456789abcdef"), out, err);
}

static const struct keyprovider_keys FILES = { .file = file_key };

static void append_base64(struct buffer *out, const char *text)
{
    base64_append(out, bytes_of_text(text), BASE64_STANDARD);
}

/* A request to wrap or, with `annotation`, to unwrap. */
static void request_make(struct buffer *out, const char *parameters, const char *annotation)
{
    buffer_printf(out, "{\"op\":\"%s\",\"keywrapparams\":{\"ec\":{\"Parameters\":{\"attestation-agent\":[\"",
                  annotation ? "keyunwrap" : "keywrap");
    append_base64(out, parameters);
    buffer_append_text(out, "\"]}},\"optsdata\":\"");
    append_base64(out, "{\"secret\":1}");
    buffer_append_text(out, "\"},\"keyunwrapparams\":{\"dc\":{\"Parameters\":{\"attestation-agent\":[\"");
    append_base64(out, parameters);
    buffer_append_text(out, "\"]}},\"annotation\":\"");
    append_base64(out, annotation ? annotation : "");
    buffer_append_text(out, "\"}}");
}

/* The bytes in {"outer":{"inner":[...]}}. */
static void answer_bytes(const struct secret *answer, const char *outer, const char *inner, struct buffer *out)
{
    AUTO(json) struct json_object *document = NULL;
    struct json_object            *list;
    struct err                     err;

    if (!json_read(secret_expose(answer), 1 << 16, &document, &err))
        fail_msg("%s", err.text);
    list = member_of(member_of(document, outer), inner);
    assert_true(json_object_is_type(list, json_type_array));
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        uint8_t byte = (uint8_t) json_object_get_int(json_object_array_get_idx(list, i));

        buffer_append(out, (struct bytes){ &byte, 1 });
    }
}

static bool ask(const char *parameters, const char *annotation, struct secret *answer, struct err *err)
{
    AUTO(buffer) struct buffer request = { 0 };


    request_make(&request, parameters, annotation);
    return keyprovider_answer(buffer_bytes(&request), &FILES, answer, err);
}

static void wraps_and_unwraps_with_each_kind_of_parameters(void **state)
{
    static const struct { const char *wrap, *unwrap, *kid, *type; } CASES[] = {
        { "keyid=kbs:///a/b/c::keypath=/key::algorithm=A256GCM", "keypath=/key", "kbs:///a/b/c", "A256GCM" },
        { "algorithm=A256CTR::keyid=kbs:///a/b/c::keypath=/key", "keyid=kbs:///a/b/c::keypath=/key", "kbs:///a/b/c", "A256CTR" },
        { "keyid=kbs:///a/b/c::keypath=/key", "keypath=/key", "kbs:///a/b/c", "A256GCM" },
        { "sample=true", "sample=true", "kbs:///default/test-key/1", "A256GCM" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(secret) struct secret     wrapped = { 0 }, opened = { 0 };
        AUTO(buffer) struct buffer     annotation = { 0 }, plain = { 0 };
        AUTO(json) struct json_object *packet = NULL;
        struct err                     err;

        if (!ask(CASES[i].wrap, NULL, &wrapped, &err))
            fail_msg("%s", err.text);
        answer_bytes(&wrapped, "keywrapresults", "annotation", &annotation);
        assert_true(json_read(buffer_bytes(&annotation), 4096, &packet, &err));
        assert_string_equal(member_text(packet, "kid"), CASES[i].kid);
        assert_string_equal(member_text(packet, "wrap_type"), CASES[i].type);
        if (!ask(CASES[i].unwrap, buffer_text(&annotation), &opened, &err))
            fail_msg("%s", err.text);
        answer_bytes(&opened, "keyunwrapresults", "optsdata", &plain);
        assert_string_equal(buffer_text(&plain), "{\"secret\":1}");
    }
}

static void answers_the_published_request_as_published(void **state)
{
    AUTO(json) struct json_object *cases = vector_json("ocicrypt/encrypted-layers.json");

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        struct json_object        *one     = json_object_array_get_idx(cases, i);
        struct json_object        *request = member_of(one, "keyprovider_unwrap_request");
        struct json_object        *list    = json_object_new_array();
        AUTO(buffer) struct buffer text = { 0 }, wanted = { 0 };
        AUTO(secret) struct secret answer = { 0 };
        struct err                 err;

        /* its parameters name a broker; ours, a file */
        json_object_array_add(list, json_object_new_string("c2FtcGxlPXRydWU="));
        json_add(member_of(member_of(member_of(request, "keyunwrapparams"), "dc"), "Parameters"), "attestation-agent", list);
        json_write(request, &text);
        json_write(member_of(one, "keyprovider_unwrap_response_number_array"), &wanted);
        if (!keyprovider_answer(buffer_bytes(&text), &FILES, &answer, &err))
            fail_msg("%s", err.text);
        assert_true(bytes_equal(secret_expose(&answer), buffer_bytes(&wanted)));
    }
}

static void takes_bytes_as_text_numbers_or_raw_options(void **state)
{
    static const char *const FORMS[] = { "\"eyJzIjoxfQ==\"", "[123,34,115,34,58,49,125]", "\"{\\\"s\\\":1}\"" };

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        AUTO(buffer) struct buffer request = { 0 }, annotation = { 0 }, plain = { 0 };
        AUTO(secret) struct secret wrapped = { 0 }, opened = { 0 };
        struct err                 err;

        buffer_append_text(&request, "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":{\"Parameters\":{\"attestation-agent\":[\"");
        append_base64(&request, "sample=true");
        buffer_printf(&request, "\"]}},\"optsdata\":%s}}", FORMS[i]);
        if (!keyprovider_answer(buffer_bytes(&request), &FILES, &wrapped, &err))
            fail_msg("%s", err.text);
        answer_bytes(&wrapped, "keywrapresults", "annotation", &annotation);
        assert_true(ask("sample=true", buffer_text(&annotation), &opened, &err));
        answer_bytes(&opened, "keyunwrapresults", "optsdata", &plain);
        assert_string_equal(buffer_text(&plain), "{\"s\":1}");
    }
}

static void refuses_parameters_by_their_one_defect(void **state)
{
    static const struct { const char *parameters; enum err_kind kind; const char *why; } CASES[] = {
        { "", ERR_CONFIG, "no parameters" },
        { "keypath=/key", ERR_CONFIG, "keyid is missing" },
        { "keyid=kbs:///a/b/c", ERR_CONFIG, "keypath is missing" },
        { "keyid=kbs:///a/b/c::keypath=/other", ERR_NOT_FOUND, "no key file /other" },
        { "keyid=kbs:///a/b::keypath=/key", ERR_MALFORMED, "three parts" },
        { "keyid=kbs:///a/b/c::keypath=/key::algorithm=RSA", ERR_UNSUPPORTED, "neither A256GCM nor A256CTR" },
        { "keyid=kbs:///a/b/c::keypath=/key::keypath=/key", ERR_CONFIG, "given twice" },
        { "keyid=kbs:///a/b/c::keypath=/key::color=red", ERR_CONFIG, "no parameter \"color\"" },
        { "keyid=kbs:///a/b/c::keypath", ERR_CONFIG, "not NAME=VALUE" },
        { "keyid::keypath=/key", ERR_CONFIG, "not NAME=VALUE" },
        { "sample=true::keypath=/key", ERR_CONFIG, "stands alone" },
        { "sample=1", ERR_CONFIG, "stands alone" },
        { "offline_fs_kbc::null", ERR_CONFIG, "not NAME=VALUE" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(secret) struct secret answer = { 0 };
        struct err                 err;

        assert_false(ask(CASES[i].parameters, NULL, &answer, &err));
        if (err.kind != CASES[i].kind || !strstr(err.text, CASES[i].why))
            fail_msg("case %zu: %s", i, err.text);
        assert_null(answer.held);
    }
}

static void refuses_requests_by_their_one_defect(void **state)
{
    static const struct { const char *request; enum err_kind kind; const char *why; } CASES[] = {
        { "", ERR_MALFORMED, "request" },
        { "{}", ERR_MALFORMED, "\"op\" is missing" },
        { "{\"op\":\"keyeat\"}", ERR_UNSUPPORTED, "neither keywrap nor keyunwrap" },
        { "{\"op\":\"keywrap\"}", ERR_MALFORMED, "\"keywrapparams\" is missing" },
        { "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":null}}", ERR_MALFORMED, "\"ec\": object wanted" },
        { "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":{\"Parameters\":{}}}}", ERR_MALFORMED, "\"attestation-agent\" is missing" },
        { "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":{\"Parameters\":{\"attestation-agent\":[]}}}}", ERR_CONFIG, "0 sets of parameters" },
        { "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":{\"Parameters\":{\"attestation-agent\":[\"a\",\"b\"]}}}}", ERR_CONFIG, "2 sets of parameters" },
        { "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":{\"Parameters\":{\"attestation-agent\":[\"!\"]}}}}", ERR_MALFORMED, "not base64" },
        { "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":{\"Parameters\":{\"attestation-agent\":[\"c2FtcGxlPXRydWU=\"]}},\"optsdata\":[256]}}", ERR_MALFORMED, "member 0 is not a byte" },
        { "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":{\"Parameters\":{\"attestation-agent\":[\"c2FtcGxlPXRydWU=\"]}},\"optsdata\":null}}", ERR_MALFORMED, "\"optsdata\" is missing" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(secret) struct secret answer = { 0 };
        struct err                 err;

        assert_false(keyprovider_answer(bytes_of_text(CASES[i].request), &FILES, &answer, &err));
        if (err.kind != CASES[i].kind || !strstr(err.text, CASES[i].why))
            fail_msg("case %zu: %s", i, err.text);
    }
}

static void refuses_a_packet_for_another_key(void **state)
{
    AUTO(secret) struct secret wrapped = { 0 }, opened = { 0 };
    AUTO(buffer) struct buffer annotation = { 0 };
    struct err                 err;

    (void) state;
    assert_true(ask("sample=true", NULL, &wrapped, &err));
    answer_bytes(&wrapped, "keywrapresults", "annotation", &annotation);
    assert_false(ask("keypath=/key", buffer_text(&annotation), &opened, &err));
    assert_int_equal(err.kind, ERR_UNTRUSTED);
    assert_false(ask("keyid=kbs:///a/b/c::keypath=/key", buffer_text(&annotation), &opened, &err));
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

/* ---- with a broker ---- */

struct shelf {
    char          kid[256];
    struct secret key; /* under it */
    int           n_kept, n_fetched;
    bool          is_closed; /* reading back is not allowed */
};

static bool shelf_fetch(void *owner, const char *kid, struct secret *out, struct err *err)
{
    struct shelf *s = owner;

    s->n_fetched++;
    if (s->is_closed)
        return fail_with(err, ERR_DENIED, "may not read secrets");
    if (strcmp(s->kid, kid) != 0)
        return fail_with(err, ERR_NOT_FOUND, "no %s", kid);
    return secret_copy(secret_expose(&s->key), out, err);
}

static bool shelf_keep(void *owner, const char *kid, const struct secret *key, struct err *err)
{
    struct shelf *s = owner;

    s->n_kept++;
    secret_free(&s->key);
    (void) snprintf(s->kid, sizeof s->kid, "%s", kid);
    return secret_copy(secret_expose(key), &s->key, err);
}

static bool ask_with(struct shelf *shelf, const char *parameters, const char *annotation, struct secret *answer, struct err *err)
{
    AUTO(buffer) struct buffer request = { 0 };
    struct keyprovider_keys    keys    = { file_key, shelf_fetch, shelf_keep, shelf };

    request_make(&request, parameters, annotation);
    return keyprovider_answer(buffer_bytes(&request), &keys, answer, err);
}

static void assert_round(struct shelf *shelf, const char *parameters)
{
    AUTO(secret) struct secret wrapped = { 0 }, opened = { 0 };
    AUTO(buffer) struct buffer annotation = { 0 }, plain = { 0 };
    struct err                 err;

    if (!ask_with(shelf, parameters, NULL, &wrapped, &err))
        fail_msg("%s: %s", parameters, err.text);
    answer_bytes(&wrapped, "keywrapresults", "annotation", &annotation);
    assert_non_null(strstr(buffer_text(&annotation), shelf->kid));
    if (!ask_with(shelf, "", buffer_text(&annotation), &opened, &err))
        fail_msg("%s: %s", parameters, err.text);
    answer_bytes(&opened, "keyunwrapresults", "optsdata", &plain);
    assert_string_equal(buffer_text(&plain), "{\"secret\":1}");
}

static void makes_and_registers_keys_at_a_broker_in_one_step(void **state)
{
    struct shelf shelf = { .n_kept = 0 };

    (void) state;
    assert_round(&shelf, "");
    assert_int_equal(strncmp(shelf.kid, "kbs:///default/image-key/", 25), 0);
    assert_int_equal(strlen(shelf.kid), 25 + 32);
    assert_int_equal(shelf.n_kept, 1);
    assert_round(&shelf, "keyid=kbs:///a/b/c");
    assert_string_equal(shelf.kid, "kbs:///a/b/c");
    assert_round(&shelf, "keyid=kbs:///a/b/c"); /* the next layer of the image: the key that is there */
    assert_int_equal(shelf.n_kept, 2);
    assert_round(&shelf, "keyid=kbs:///a/b/d::keypath=/key"); /* the owner's own key */
    assert_int_equal(shelf.n_kept, 3);
    assert_memory_equal(secret_expose(&shelf.key).at, "0123456789abcdef0123456789abcdef", 32);
    secret_free(&shelf.key);
}

static void replaces_no_key_that_it_may_not_read(void **state)
{
    struct shelf               shelf  = { .is_closed = true };
    AUTO(secret) struct secret answer = { 0 };
    struct err                 err;

    (void) state;
    assert_false(ask_with(&shelf, "keyid=kbs:///a/b/c", NULL, &answer, &err));
    assert_int_equal(err.kind, ERR_DENIED);
    assert_int_equal(shelf.n_kept, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wraps_and_unwraps_with_each_kind_of_parameters),
        cmocka_unit_test(answers_the_published_request_as_published),
        cmocka_unit_test(takes_bytes_as_text_numbers_or_raw_options),
        cmocka_unit_test(refuses_parameters_by_their_one_defect),
        cmocka_unit_test(refuses_requests_by_their_one_defect),
        cmocka_unit_test(refuses_a_packet_for_another_key),
        cmocka_unit_test(makes_and_registers_keys_at_a_broker_in_one_step),
        cmocka_unit_test(replaces_no_key_that_it_may_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
