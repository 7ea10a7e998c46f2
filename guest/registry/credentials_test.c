#include "tests/harness/test.h"

#include "base/secret.h"
#include "base/text.h"
#include "guest/registry/challenge.h"
#include "guest/registry/credentials.h"
#include "tests/harness/traces.h"

/* base64 of "host:1", "team:2", "app:3", "hub:4" */
#define FILE_TEXT \
    "{\"auths\":{\"r.example\":{\"auth\":\"aG9zdDox\"},\"r.example/team\":{\"auth\":\"dGVhbToy\"}," \
    "\"r.example/team/app\":{\"auth\":\"YXBwOjM=\"},\"https://index.docker.io/v1/\":{\"auth\":\"aHViOjQ=\"}}}"

static void the_longest_entry_wins(void **state)
{
    static const struct { const char *registry, *repository, *found; } rows[] = {
        { "r.example", "team/app", "app:3" },      { "r.example", "team/app/deep", "app:3" },
        { "r.example", "team/application", "team:2" }, { "r.example", "teams/app", "host:1" },
        { "docker.io", "library/busybox", "hub:4" }, { "r.example:5000", "team/app", "" },
        { "other.example", "team/app", "" },       { "example", "r", "" },
    };
    AUTO(credentials) struct credentials c = { 0 };
    struct err                           err;

    (void) state;
    assert_true(credentials_read(bytes_of_text(FILE_TEXT), &c, &err));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(buffer) struct buffer found = { 0 };

        credentials_find(&c, rows[i].registry, rows[i].repository, &found);
        assert_string_equal(buffer_text(&found), rows[i].found);
    }
}

/* As docker, podman, nerdctl, kubectl and people write them. */
static void finds_an_entry_by_every_spelling_of_its_name(void **state)
{
    static const struct { const char *json, *registry, *found; } rows[] = {
        { "{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"aHViOjQ=\"}}}", "docker.io", "hub:4" },
        { "{\"auths\":{\"https://index.docker.io/v2/\":{\"auth\":\"aHViOjQ=\"}}}", "docker.io", "hub:4" },
        { "{\"auths\":{\"index.docker.io\":{\"auth\":\"aHViOjQ=\"}}}", "docker.io", "hub:4" },
        { "{\"auths\":{\"registry-1.docker.io\":{\"auth\":\"aHViOjQ=\"}}}", "docker.io", "hub:4" },
        { "{\"auths\":{\"docker.io/team\":{\"auth\":\"aHViOjQ=\"}}}", "docker.io", "hub:4" },
        { "{\"auths\":{\"https://R.Example:5000/v2/\":{\"auth\":\"aHViOjQ=\"}}}", "r.example:5000", "hub:4" },
        { "{\"auths\":{\"http://r.example:5000\":{\"auth\":\"aHViOjQ=\"}}}", "r.example:5000", "hub:4" },
        { "{\"auths\":{\"r.example\":{\"auth\":\"aHViOjQ=\"}}}", "r.example:5000", "" },
        { "{\"auths\":{\"r.example/\":{\"auth\":\"aHViOjQ=\",\"email\":\"x\"}},\"HttpHeaders\":{}}", "r.example", "hub:4" },
        { "{\"auths\":{\"r.example\":{\"username\":\"hub\",\"password\":\"4:5\"}}}", "r.example", "hub:4:5" },
        { "{\"auths\":{\"r.example\":{\"username\":\"x\",\"password\":\"y\",\"auth\":\"aHViOjQ=\"}}}", "r.example", "hub:4" },
        { "{\"auths\":{\"r.example/Team\":{\"auth\":\"aHViOjQ=\"}}}", "r.example", "" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO(credentials) struct credentials c     = { 0 };
        AUTO(buffer) struct buffer           found = { 0 };
        struct err                           err;

        if (!credentials_read(bytes_of_text(rows[i].json), &c, &err))
            fail_msg("%s: %s", rows[i].json, err.text);
        credentials_find(&c, rows[i].registry, "team/app", &found);
        if (strcmp(buffer_text(&found), rows[i].found) != 0)
            fail_msg("%s: %s", rows[i].json, buffer_text(&found));
    }
}

/* A password and a token, read, found and given up, while other documents come and go. */
static void let_in_and_leave(int fd)
{
    enum { PLAIN_LEN = 600 };
    AUTO(buffer) struct buffer file = WIPED_BUFFER, answer = WIPED_BUFFER, pair = WIPED_BUFFER, found = WIPED_BUFFER, token = WIPED_BUFFER;
    AUTO(secret) struct secret plain = { 0 };
    struct credentials         c     = { 0 };
    char                      *mark  = strdup(TRACES_MARK); /* leaked by design */
    struct err                 err;

    assert_non_null(mark);
    assert_true(secret_random(PLAIN_LEN, &plain, &err));
    buffer_append_text(&pair, "user:");
    hex_append(&pair, secret_expose(&plain));
    buffer_append_text(&file, "{\"auths\":{\"r.example\":{\"auth\":\"");
    base64_append(&file, buffer_bytes(&pair), BASE64_STANDARD);
    buffer_append_text(&file, "\"},\"other.example\":{\"username\":\"u\",\"password\":\"");
    buffer_append(&file, buffer_bytes(&pair));
    buffer_append_text(&file, "\"}}}");
    buffer_append_text(&answer, "{\"expires_in\":300,\"token\":\"");
    hex_append(&answer, secret_expose(&plain));
    buffer_append_text(&answer, "\"}");
    assert_true(credentials_read(buffer_bytes(&file), &c, &err));
    credentials_find(&c, "other.example", "a", &found);
    assert_int_equal(found.len, strlen("u:") + pair.len);
    found.len = 0;
    credentials_find(&c, "r.example", "a", &found);
    assert_int_equal(found.len, pair.len);
    assert_true(token_answer_read(buffer_bytes(&answer), &token, &err));
    file.at[file.len - 1] = 'x'; /* one that is refused when much of it was read already */
    credentials_free(&c);
    assert_false(credentials_read(buffer_bytes(&file), &c, &err));
    assert_int_equal(write(fd, pair.at + 16, PLAIN_LEN), PLAIN_LEN); /* of the password, in hex */
}

static void of_a_password_and_a_token_nothing_stays(void **state)
{
    (void) state;
    assert_no_traces_of(let_in_and_leave);
}

static void without_a_file_nobody_is_named(void **state)
{
    AUTO(buffer) struct buffer found = { 0 };
    struct credentials         none  = { 0 };

    (void) state;
    credentials_find(&none, "r.example", "a", &found);
    assert_int_equal(found.len, 0);
}

static void refuses_files_that_it_cannot_use(void **state)
{
    static const struct { const char *json, *why; enum err_kind kind; } rows[] = {
        { "", "credentials", ERR_MALFORMED },
        { "{}", "auths", ERR_MALFORMED },
        { "{\"auths\":[]}", "auths", ERR_MALFORMED },
        { "{\"auths\":{\"a\":1}}", "not an object", ERR_MALFORMED },
        { "{\"auths\":{\"a\":{}}}", "helpers", ERR_UNSUPPORTED },
        { "{\"auths\":{\"a\":{\"identitytoken\":\"x\"}}}", "identity token", ERR_UNSUPPORTED },
        { "{\"auths\":{\"a\":{\"auth\":7}}}", "auth", ERR_MALFORMED },
        { "{\"auths\":{\"a\":{\"auth\":\"?\"}}}", "auth", ERR_MALFORMED },
        { "{\"auths\":{\"a\":{\"auth\":\"aG9zdA==\"}}}", "USER:PASSWORD", ERR_MALFORMED },
        { "{\"auths\":{\"a\":{\"auth\":\"\"}}}", "USER:PASSWORD", ERR_MALFORMED },
        { "{\"auths\":{\"a\":{\"auth\":\"YToAYg==\"}}}", "USER:PASSWORD", ERR_MALFORMED },
        { "{\"auths\":{\"a\":{\"registrytoken\":\"x\"}}}", "credentials: a: a registry token; \"auth\" is wanted", ERR_UNSUPPORTED },
        { "{\"auths\":{\"a\":{\"username\":\"x\"}}}", "\"password\" is missing", ERR_MALFORMED },
        { "{\"auths\":{\"a\":{\"username\":\"x:y\",\"password\":\"z\"}}}", "username: with a colon", ERR_MALFORMED },
        { "{\"auths\":{},\"credsStore\":\"pass\"}", "no credential helpers; put USER:PASSWORD into auths", ERR_UNSUPPORTED },
        { "{\"credHelpers\":{\"r.example\":\"ecr-login\"}}", "no credential helpers; put USER:PASSWORD into auths", ERR_UNSUPPORTED },
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct credentials c;
        struct err         err;

        if (credentials_read(bytes_of_text(rows[i].json), &c, &err))
            fail_msg("%s was read", rows[i].json);
        if (err.kind != rows[i].kind || !strstr(err.text, rows[i].why))
            fail_msg("%s: %s: %s", rows[i].json, err_kind_name(err.kind), err.text);
    }
}

static void every_cut_of_a_file_is_refused(void **state)
{
    (void) state;
    for (size_t len = 0; len < sizeof FILE_TEXT - 1; len++) {
        AUTO(heap) uint8_t *copy = exact_copy(FILE_TEXT, len);
        struct credentials  c;
        struct err          err;

        assert_false(credentials_read((struct bytes){ copy, len }, &c, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_entry_wins),
        cmocka_unit_test(finds_an_entry_by_every_spelling_of_its_name),
        cmocka_unit_test(of_a_password_and_a_token_nothing_stays),
        cmocka_unit_test(without_a_file_nobody_is_named),
        cmocka_unit_test(refuses_files_that_it_cannot_use),
        cmocka_unit_test(every_cut_of_a_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
