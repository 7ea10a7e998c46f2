#include "tests/harness/test.h"
#include "keys/ocicrypt/image_config.h"

#define ID     "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" ID "\"]}"
#define FRONT  "{\"os\":\"linux\",\"architecture\":\"amd64\"," ROOTFS
#define GOOD                                                                                                   \
    FRONT ",\"config\":{\"User\":\"1000:100\",\"WorkingDir\":\"/srv\",\"StopSignal\":\"SIGINT\","              \
          "\"Env\":[\"PATH=/bin\",\"EMPTY=\"],\"Entrypoint\":[\"/bin/app\"],\"Cmd\":[\"-x\",\"\"],\"Labels\":null}}"

static void reads_what_to_run(void **state)
{
    AUTO(image_config) struct image_config c = { 0 };
    struct err                             err;

    (void) state;
    if (!image_config_read(bytes_of_text(GOOD), &c, &err))
        fail_msg("%s", err.text);
    assert_string_equal(c.user, "1000:100");
    assert_string_equal(c.working_dir, "/srv");
    assert_string_equal(c.stop_signal, "SIGINT");
    assert_int_equal(c.env.n, 2);
    assert_string_equal(c.env.at[1], "EMPTY=");
    assert_null(c.env.at[2]);
    assert_string_equal(c.entrypoint.at[0], "/bin/app");
    assert_int_equal(c.cmd.n, 2);
    assert_string_equal(c.cmd.at[1], "");
    assert_int_equal(c.n_diff_ids, 1);
    assert_string_equal(digest_text(&c.diff_ids[0]).at, ID);
}

static void takes_absent_and_null_members_as_empty(void **state)
{
    static const char *const TEXTS[] = { FRONT "}", FRONT ",\"config\":null}", FRONT ",\"config\":{\"Env\":null,\"Cmd\":null}}" };

    (void) state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        AUTO(image_config) struct image_config c = { 0 };
        struct err                             err;

        if (!image_config_read(bytes_of_text(TEXTS[i]), &c, &err))
            fail_msg("%s", err.text);
        assert_string_equal(c.user, "");
        assert_int_equal(c.env.n + c.entrypoint.n + c.cmd.n, 0);
        assert_null(c.cmd.at[0]);
    }
}

static void refuses_configs_by_their_one_defect(void **state)
{
    static const struct { const char *text; enum err_kind kind; const char *why; } CASES[] = {
        { "{\"architecture\":\"amd64\"," ROOTFS "}", ERR_MALFORMED, "\"os\" is missing" },
        { "{\"os\":\"linux\",\"architecture\":\"amd64\"}", ERR_MALFORMED, "\"rootfs\" is missing" },
        { "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"tree\",\"diff_ids\":[]}}", ERR_UNSUPPORTED, "not \"layers\"" },
        { "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"x\"]}}", ERR_MALFORMED, "diff_id 1" },
        { "{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[null]}}", ERR_MALFORMED, "diff_id 1" },
        { FRONT ",\"config\":{\"Env\":[\"PATH\"]}}", ERR_MALFORMED, "member 1 is not NAME=value" },
        { FRONT ",\"config\":{\"Env\":[\"=x\"]}}", ERR_MALFORMED, "member 1 is not NAME=value" },
        { FRONT ",\"config\":{\"Env\":[1]}}", ERR_MALFORMED, "member 1 is not a text" },
        { FRONT ",\"config\":{\"Cmd\":\"sh\"}}", ERR_MALFORMED, "\"Cmd\": array wanted" },
        { FRONT ",\"config\":{\"Cmd\":[\"a\\u0000b\"]}}", ERR_MALFORMED, "escape not allowed" },
        { FRONT ",\"config\":{\"WorkingDir\":\"srv\"}}", ERR_MALFORMED, "not absolute" },
        { FRONT ",\"config\":{\"User\":0}}", ERR_MALFORMED, "\"User\": string wanted" },
        { FRONT ",\"config\":[]}", ERR_MALFORMED, "\"config\": object wanted" },
        { FRONT ",\"config\":{\"User\":\"a\",\"User\":\"root\"}}", ERR_MALFORMED, "twice" },
    };

    (void) state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        AUTO(image_config) struct image_config c = { 0 };
        struct err                             err;

        assert_false(image_config_read(bytes_of_text(CASES[i].text), &c, &err));
        if (err.kind != CASES[i].kind || !strstr(err.text, CASES[i].why))
            fail_msg("case %zu: %s", i, err.text);
        assert_null(c.document);
    }
}

static void refuses_every_truncation(void **state)
{
    (void) state;
    for (size_t len = 0; len < strlen(GOOD); len++) {
        AUTO(heap) uint8_t                    *exact = exact_copy(GOOD, len);
        AUTO(image_config) struct image_config c     = { 0 };
        struct err                             err;

        assert_false(image_config_read((struct bytes){ exact, len }, &c, &err));
        assert_int_equal(err.kind, ERR_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_to_run),
        cmocka_unit_test(takes_absent_and_null_members_as_empty),
        cmocka_unit_test(refuses_configs_by_their_one_defect),
        cmocka_unit_test(refuses_every_truncation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
