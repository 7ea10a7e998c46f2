/* The commands that people and image tools administer a broker with: `cloister key`, `policy`, `reference`, `audit`, and the key provider. */
#include "base/text.h"
#include "keys/api/admin.h"
#include "tests/harness/asking.h"

#define ALLOW_ALL "package policy\ndefault allow = false\nallow = true if data.plugin == \"resource\"\n"

static struct test_broker broker; /* --dev: one listener, one administrator */

/* ---- the key provider of skopeo, buildah and nerdctl ---- */

static void keyprovider_run(const char *request, struct buffer *answer)
{
    const char *build = getenv("CLOISTER_BUILD");
    char        program[PATH_MAX], key[PATH_MAX], ca[PATH_MAX];
    int         code = -1;
    struct err  err;

    (void) snprintf(program, sizeof program, "%s/cloister-keyprovider", build ? build : "."); /* a cut path does not start */
    test_broker_path(&broker, "admin.key", key);
    test_broker_path(&broker, "ca.pem", ca);
    const char *argv[] = { program, "--broker", broker.url, "--admin-key", key, "--broker-ca", ca, NULL };

    assert_fine(process_run(argv, bytes_of_text(request), 1 << 16, 60000, answer, &code, &err), &err);
    assert_int_equal(code, 0);
}

/* The numbers of the answer's one array, as text: what the other request carries. */
static void answer_numbers(struct buffer *answer, struct buffer *out)
{
    const char *from = strchr(buffer_text(answer), '['), *to = strchr(buffer_text(answer), ']');

    assert_true(from && to && from < to);
    buffer_append(out, (struct bytes){ (const uint8_t *) from, (size_t) (to + 1 - from) });
}

static void the_key_provider_makes_a_key_here_and_opens_with_it(void **state)
{
    AUTO(admin_client) struct admin_client *admin  = test_admin(&broker);
    AUTO(buffer) struct buffer              params = { 0 }, request = { 0 }, answer = { 0 }, packet = { 0 }, opened = { 0 }, again = { 0 };
    AUTO(secret) struct secret              key    = { 0 };
    struct err                              err;

    (void) state;
    base64_append(&params, bytes_of_text("keyid=kbs:///provided/key/1"), BASE64_STANDARD);
    buffer_printf(&request, "{\"op\":\"keywrap\",\"keywrapparams\":{\"ec\":{\"Parameters\":{\"attestation-agent\":[\"%s\"]}},"
                            "\"optsdata\":[7,8,9]}}", buffer_text(&params));
    keyprovider_run(buffer_text(&request), &answer);
    assert_fine(admin_resource_get(admin, "kbs:///provided/key/1", &key, &err), &err);
    assert_int_equal(key.len, 32);
    answer_numbers(&answer, &packet);
    buffer_printf(&again, "{\"op\":\"keyunwrap\",\"keyunwrapparams\":{\"dc\":{\"Parameters\":{\"attestation-agent\":[\"%s\"]}},"
                          "\"annotation\":%s}}", buffer_text(&params), buffer_text(&packet));
    keyprovider_run(buffer_text(&again), &opened);
    assert_string_equal(buffer_text(&opened), "{\"keyunwrapresults\":{\"optsdata\":[7,8,9]}}");
}

/* ---- the command that people use ---- */

#define SOME_DIGEST "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* Runs `cloister WORDS... --broker ... --admin-key ...`; the words are split at blanks. */
static int cloister(const char *words, struct buffer *out)
{
    const char *build = getenv("CLOISTER_BUILD"), *argv[32];
    char        program[PATH_MAX], key[PATH_MAX], copy[512], *save = NULL;
    size_t      n    = 0;
    int         code = -1;
    struct err  err;

    (void) snprintf(program, sizeof program, "%s/cloister", build ? build : "."); /* a cut path does not start */
    (void) snprintf(copy, sizeof copy, "%s", words);
    test_broker_path(&broker, "admin.key", key);
    argv[n++] = program;
    for (char *word = strtok_r(copy, " ", &save); word && n < 26; word = strtok_r(NULL, " ", &save))
        argv[n++] = word;
    argv[n++] = "--broker";
    argv[n++] = broker.url;
    argv[n++] = "--admin-key";
    argv[n++] = key;
    argv[n]   = NULL;
    out->len  = 0;
    assert_fine(process_run(argv, (struct bytes){ 0 }, 1 << 16, 60000, out, &code, &err), &err);
    return code;
}

static void assert_cloister(const char *words, int code, const char *part)
{
    AUTO(buffer) struct buffer out = { 0 };
    int                        got = cloister(words, &out);

    if (got != code || !strstr(buffer_text(&out), part))
        fail_msg("cloister %s: exit %d, wanted %d with \"%s\": %s", words, got, code, part, buffer_text(&out));
}

/* As `cloister measure snp --corim` writes one, with a short digest. */
static void corim_store(const char *name)
{
    static const uint8_t CORIM[] = {
        0xd9, 0x01, 0xf5, 0xa2, 0x00, 0x61, 'x', 0x01, 0x81, 0xd9, 0x01, 0xfa, 0x58, 0x2f, 0xa1, 0x04, 0xa1, 0x00, 0x81, 0x82,
        0xa1, 0x00, 0xa2, 0x01, 0x63, 'A', 'M', 'D', 0x02, 0x67, 'S', 'E', 'V', '-', 'S', 'N', 'P', 0x81, 0xa1, 0x01, 0xa1,
        0x0e, 0xa1, 0x6b, 'm', 'e', 'a', 's', 'u', 'r', 'e', 'm', 'e', 'n', 't', 0x81, 0x82, 0x07, 0x42, 0xaa, 0xbb,
    };
    char       path[PATH_MAX];
    struct err err;

    test_broker_path(&broker, name, path);
    assert_fine(file_write(path, (struct bytes){ CORIM, sizeof CORIM }, 0600, &err), &err);
}

static void a_command_line_without_a_broker_is_a_wrong_one(void **state)
{
    static const char *const VERBS[][2] = { { "key", "list" }, { "reference", "list" }, { "audit", "list" }, { "policy", "list" } };
    const char              *build = getenv("CLOISTER_BUILD");
    char                     program[PATH_MAX];

    (void) state;
    (void) snprintf(program, sizeof program, "%s/cloister", build ? build : "."); /* a cut path does not start */
    for (size_t i = 0; i < sizeof VERBS / sizeof *VERBS; i++) {
        const char                *argv[] = { program, VERBS[i][0], VERBS[i][1], i == 3 ? "resource" : NULL, NULL };
        AUTO(buffer) struct buffer out    = { 0 };
        int                        code   = -1;
        struct err                 err;

        assert_fine(process_run(argv, (struct bytes){ 0 }, 1 << 16, 60000, &out, &code, &err), &err);
        assert_int_equal(code, 2);
    }
}

static void the_command_line_keeps_policies_values_and_bindings(void **state)
{
    char words[PATH_MAX + 128], path[PATH_MAX];

    (void) state;
    file_in(&broker, "allow.rego", ALLOW_ALL);
    file_in(&broker, "bad.rego", "package policy\nallow if {");
    file_in(&broker, "values.json", "{\"version\":\"0.1.0\",\"type\":\"sample\",\"payload\":\"eyJjbGkiOlsxXX0=\"}\n");
    corim_store("values.corim");
    test_broker_path(&broker, "allow.rego", path);
    (void) snprintf(words, sizeof words, "policy set resource %s --name cli/x", path);
    assert_cloister(words, 0, "resource-policy cli/x version 1");
    test_broker_path(&broker, "bad.rego", path);
    (void) snprintf(words, sizeof words, "policy set resource %s --name cli/x", path);
    assert_cloister(words, 1, "");
    assert_cloister("policy list resource", 0, "cli/x  version 1  ");
    assert_cloister("policy history resource --name cli/x", 0, "    package policy");
    assert_cloister("policy unset resource --name cli/x", 0, "resource-policy cli/x removed");
    assert_cloister("policy unset resource --name cli/x", 1, "");
    assert_cloister("policy history resource --name cli/x --json", 0, "\"version\":2");
    assert_cloister("reference add --name cli_tcb --number 4 --number 5 --value x --days 3", 0, "cli_tcb version 1");
    assert_cloister("reference list", 0, "[\"x\",4,5]");
    assert_cloister("reference rm cli_tcb", 0, "reference cli_tcb removed");
    assert_cloister("reference history cli_none", 1, "");
    assert_cloister("policy history resource --name cli/none", 1, "");
    assert_cloister("reference history cli_tcb", 0, "version 2");
    test_broker_path(&broker, "values.json", path);
    (void) snprintf(words, sizeof words, "reference add --rvps %s", path);
    assert_cloister(words, 0, " added");
    test_broker_path(&broker, "values.corim", path);
    (void) snprintf(words, sizeof words, "reference add --corim %s", path);
    assert_cloister(words, 0, " added");
    assert_cloister("reference list --json", 0, "\"text\":\"[\\\"aabb\\\"]\"");
    assert_cloister("reference list", 0, "cli  version 1");
    assert_cloister("reference rm snp_launch_measurement", 0, "");
    assert_cloister("key bind kbs:///cli/key/1 --workload sha256:aa --initdata aabb", 0, "bound kbs:///cli/key/1");
    assert_cloister("key bind kbs:///cli/key/1", 1, "");
    assert_cloister("key unbind kbs:///cli/key/1", 0, "unbound kbs:///cli/key/1");
    assert_cloister("key unbind kbs:///cli/key/1", 1, "");
}

static void assert_into_a_full_disk(const char *command, const char *word)
{
    const char *build = getenv("CLOISTER_BUILD");
    char        script[2 * PATH_MAX], key[PATH_MAX];
    const char *const          argv[] = { "/bin/sh", "-c", script, NULL };
    AUTO(buffer) struct buffer out    = { 0 };
    int                        code   = -1;
    struct err                 err;

    test_broker_path(&broker, "admin.key", key);
    (void) snprintf(script, sizeof script, "%s/cloister %s %s %s%s%s%s 2>&1 >/dev/full", build ? build : ".", command, word,
                    strcmp(command, "key") == 0 ? "--broker " : "", strcmp(command, "key") == 0 ? broker.url : "",
                    strcmp(command, "key") == 0 ? " --admin-key " : "", strcmp(command, "key") == 0 ? key : ""); /* cut does not run */
    assert_fine(process_run(argv, (struct bytes){ 0 }, 1 << 16, 60000, &out, &code, &err), &err);
    assert_int_equal(code, 1);
    assert_string_equal(buffer_text(&out), "cloister: standard output: No space left on device\n");
}

/* For a person in words, for a script as JSON; a wrong word is unusable, and never a success. */
static void the_command_line_says_what_it_did(void **state)
{
    char words[PATH_MAX + 128], path[PATH_MAX];

    (void) state;
    file_in(&broker, "two", "xy");
    test_broker_path(&broker, "two", path);
    (void) snprintf(words, sizeof words, "key put kbs:///cli/said/1 %s", path);
    assert_cloister(words, 0, "stored kbs:///cli/said/1: 2 bytes\n");
    assert_cloister("key rm kbs:///cli/said/1", 0, "removed kbs:///cli/said/1\n");
    assert_cloister("reference add --initdata " SOME_DIGEST " --resource kbs:///cli/said/1", 0,
                    " added: snp initdata for kbs:///cli/said/1\n");
    assert_cloister("reference add --initdata " SOME_DIGEST, 0, " added: snp initdata for all resources\n");
    assert_cloister("reference add --name cli_said --number 4 --json", 0, "[{\"name\":\"cli_said\",\"version\":1}]\n");
    assert_cloister("reference add --initdata " SOME_DIGEST " --initdata 00 --json", 1, "\"kind\":\"initdata\",\"value\":\"" SOME_DIGEST "\"}]\n");
    assert_cloister("audit verify --json", 0, "\"grown\":null}\n");
    assert_cloister("audit prove 0 --json", 0, "{\"entry\":\"{\\\"at\\\":");
    for (size_t i = 0; i < 5; i++) {
        static const char *const GROUPS[] = { "key", "reference", "audit", "verify", "measure" };

        (void) snprintf(words, sizeof words, "%s nonsense", GROUPS[i]);
        assert_cloister(words, 2, "");
        (void) snprintf(words, sizeof words, "%s --help", GROUPS[i]);
        assert_cloister(words, 0, "Usage: cloister ");
    }
    assert_into_a_full_disk("key", "list");
    assert_into_a_full_disk("help", "policy");
    assert_into_a_full_disk("measure", "--help");
}

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_provider_makes_a_key_here_and_opens_with_it),
        cmocka_unit_test(a_command_line_without_a_broker_is_a_wrong_one),
        cmocka_unit_test(the_command_line_keeps_policies_values_and_bindings),
        cmocka_unit_test(the_command_line_says_what_it_did),
    };

    return cmocka_run_group_tests(tests, make, clean);
}
