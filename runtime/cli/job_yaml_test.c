#include "tests/harness/test.h"

#include <stdio.h>

#include "runtime/cli/job_yaml.h"

static const char whole[] =
    "# a job\n"
    "image: oci:/srv/image\n"
    "args: [/bin/sum, --all]\n"
    "env:\n  LANG: C\n  EMPTY: \"\"\n"
    "cpus: 2\nmemory: 1024\nscratch: 64\n"
    "broker: https://broker:8443\nbroker_ca: ca.pem\nnonce: \"00ff\"\nreceipt: r.json\n"
    "volumes:\n"
    "  - { name: in, file: /srv/in.img, path: /in, mode: ro, key: \"kbs:///lab/volume/in\" }\n"
    "  - { name: out, file: out.img, path: /out, mode: new }\n";

static bool reads(const char *text, size_t len, struct job_yaml *out, struct err *err)
{
    AUTO(heap) uint8_t *exact = exact_copy(text, len);

    return job_yaml_read((struct bytes){ exact, len }, out, err);
}

static void a_job_is_read_whole(void **state)
{
    AUTO(job_yaml) struct job_yaml job = { 0 };
    struct err                     err;

    (void) state;
    if (!reads(whole, sizeof whole - 1, &job, &err))
        fail_msg("%s", err.text);
    assert_string_equal(job.image, "oci:/srv/image");
    assert_int_equal(job.n_args, 2);
    assert_string_equal(job.args[1], "--all");
    assert_int_equal(job.env.n, 2);
    assert_string_equal(job.env.at[0], "LANG=C");
    assert_string_equal(job.env.at[1], "EMPTY=");
    assert_int_equal(job.cpus, 2);
    assert_int_equal(job.memory_mib, 1024);
    assert_int_equal(job.scratch_mib, 64);
    assert_string_equal(job.broker, "https://broker:8443");
    assert_string_equal(job.broker_ca, "ca.pem");
    assert_string_equal(job.nonce, "00ff");
    assert_string_equal(job.receipt, "r.json");
    assert_int_equal(job.volumes.n, 2);
    assert_string_equal(job.volumes.at[0].key, "kbs:///lab/volume/in");
    assert_true(job.volumes.at[0].read_only && !job.volumes.at[0].format);
    assert_string_equal(job.volumes.at[1].key, "kbs:///default/volume/out");
    assert_true(job.volumes.at[1].format && !job.volumes.at[1].read_only);
}

static void what_is_wrong_is_named_with_its_place(void **state)
{
    static const struct { const char *text, *why; } rows[] = {
        { "", "there is nothing in it" },
        { "image: a\nimages: b\n", "line 2, column 1: \"images\" is not known" },
        { "image: a\nimage: b\n", "line 2, column 1: \"image\" stands there twice" },
        { "args: [a]\n", "image: missing" },
        { "image: \"\"\n", "line 1, column 8: an empty text" },
        { "image: [a]\n", "line 1, column 8: value: a text is wanted" },
        { "image: \"a\\0b\"\n", "line 1, column 8: value: a text without zero bytes is wanted" },
        { "- image: a\n", "line 1, column 1: names and values are wanted" },
        { "image: a\nargs: b\n", "line 2, column 7: args: a list is wanted" },
        { "image: a\nargs: [[b]]\n", "line 2, column 8: args: a text is wanted" },
        { "image: a\nenv: [b]\n", "line 2, column 6: env: names and values are wanted" },
        { "image: a\nenv: { \"A=B\": c }\n", "line 2, column 8: env: a name has at least one character and no =" },
        { "image: a\nenv: { A: b, A: c }\n", "line 2, column 14: env: \"A\" stands there twice" },
        { "image: a\ncpus: -1\n", "line 2, column 7: a number from 1 to 1073741824 is wanted" },
        { "image: a\nmemory: 1.5\n", "line 2, column 9: a number from" },
        { "image: a\nmemory: 1073741825\n", "line 2, column 9: a number from" },
        { "image: a\nvolumes: {}\n", "line 2, column 10: volumes: a list is wanted" },
        { "image: a\nvolumes:\n  - name: v\n    file: f\n", "line 3, column 5: a volume has name, file and path" },
        { "image: a\nvolumes:\n  - { name: V, file: f, path: /p }\n", "line 3, column 5: a volume's name has 1 to 16" },
        { "image: a\nvolumes:\n  - { name: v, file: f, path: p }\n", "line 3, column 5: volume v: an absolute path is wanted" },
        { "image: a\nvolumes:\n  - { name: v, file: f, path: /p, mode: wr }\n", "line 3, column 5: volume v: mode is rw, ro or new" },
        { "image: a\nvolumes:\n  - { name: v, file: f, path: /p, key: x }\n", "line 3, column 5: volume v: key is kbs:///" },
        { "image: a\nvolumes:\n  - { name: v, file: f, path: /p, size: 1 }\n", "line 3, column 35: \"size\" is not known" },
        { "image: a\nvolumes:\n  - { name: v, file: f, path: /p }\n  - { name: v, file: g, path: /q }\n", "line 4, column 5: volume v: stands there twice" },
        { "image: a\n---\nimage: b\n", "more than one document" },
        { "image: a\n  b: c\n", "line 2, column 4: mapping values are not allowed in this context" },
        { "image: *a\n", "found undefined alias" },
        { "image: a\n\xff\n", "invalid leading UTF-8 octet" },
    };
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct job_yaml job = { 0 };

        if (reads(rows[i].text, strlen(rows[i].text), &job, &err) || err.kind != ERR_MALFORMED || !strstr(err.text, rows[i].why))
            fail_msg("row %zu: wanted \"%s\" in \"%s\"", i, rows[i].why, err.text);
        assert_null(job.kept);
    }
}

static void size_depth_and_numbers_of_things_are_bounded(void **state)
{
    AUTO(buffer) struct buffer text = { 0 }, deep = { 0 }, many = { 0 };
    struct job_yaml            job  = { 0 };
    struct err                 err;

    (void) state;
    memset(buffer_grow(&text, JOB_YAML_LEN_MAX + 1), '#', JOB_YAML_LEN_MAX + 1);
    assert_false(job_yaml_read(buffer_bytes(&text), &job, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    buffer_append_text(&deep, "image: ");
    memset(buffer_grow(&deep, 30000), '[', 30000);
    assert_false(job_yaml_read(buffer_bytes(&deep), &job, &err));
    assert_int_equal(err.kind, ERR_MALFORMED);
    buffer_append_text(&many, "image: a\nargs: [");
    for (int i = 0; i <= JOB_YAML_ARGS_MAX; i++)
        buffer_append_text(&many, "b,");
    buffer_append_text(&many, "]\n");
    assert_false(job_yaml_read(buffer_bytes(&many), &job, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
    many.len = 0;
    buffer_append_text(&many, "image: a\nvolumes:\n");
    for (int i = 0; i <= VOLUME_DISKS_MAX; i++)
        buffer_printf(&many, "  - { name: v%d, file: f, path: /p%d }\n", i, i);
    assert_false(job_yaml_read(buffer_bytes(&many), &job, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

/* What is cut off may still be a job: then it is one that was written so. */
static void no_truncation_reads_too_far(void **state)
{
    struct err err;

    (void) state;
    for (size_t len = 0; len < sizeof whole; len++) {
        AUTO(job_yaml) struct job_yaml job = { 0 };

        if (!reads(whole, len, &job, &err))
            assert_null(job.kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_read_whole),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(size_depth_and_numbers_of_things_are_bounded),
        cmocka_unit_test(no_truncation_reads_too_far),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
