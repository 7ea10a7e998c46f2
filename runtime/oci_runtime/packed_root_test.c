#include "runtime/oci_runtime/packed_root.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/process.h"
#include "tests/harness/test.h"

static int shell(const char *folder, const char *words, struct buffer *out)
{
    AUTO(buffer) struct buffer script = { 0 };
    struct err                 err;
    int                        code = -1;

    buffer_printf(&script, "cd %s\n%s", folder, words);
    const char *const argv[] = { "/bin/sh", "-ec", buffer_text(&script), NULL };
    if (!process_run(argv, (struct bytes){ 0 }, 1 << 20, 60000, out, &code, &err))
        fail_msg("%s", err.text);
    return code;
}

static void a_tree_becomes_one_layer_as_it_was(void **state)
{
    AUTO(text) char           *folder = NULL;
    AUTO(buffer) struct buffer root = { 0 }, layout = { 0 }, listed = { 0 }, text = { 0 };
    char                       manifest[LAYOUT_DIGEST_LEN];
    struct err                 err;

    (void) state;
    assert_true(directory_make_temporary("cloister-packed-", &folder, &err));
    assert_int_equal(shell(folder, "mkdir -p root/bin root/etc/deep; echo hello > root/etc/deep/word; chmod 4755 root/etc/deep/word;"
                                   "ln -s ../etc root/bin/link; ln root/etc/deep/word root/etc/hard; mkfifo root/etc/fifo;"
                                   "head -c 300000 /dev/zero > root/etc/zeros", &text), 0);
    buffer_printf(&root, "%s/root", folder);
    buffer_printf(&layout, "%s/image", folder);
    struct packed_root_options options = { buffer_text(&root), buffer_text(&layout), "1000:1000", "/etc" };
    if (!packed_root_make(&options, manifest, &err))
        fail_msg("%s", err.text);
    /* tar is the judge of the archive; every blob has the name of its content. */
    assert_int_equal(shell(folder, "top=$PWD; mkdir out; cd image/blobs/sha256;"
                                   "for f in *; do echo \"$f  $f\"; done | sha256sum -c --quiet;"
                                   "tar -xpf $(ls -S | head -n 1) -C $top/out; cd $top; cmp root/etc/zeros out/etc/zeros;"
                                   "cat out/etc/deep/word; readlink out/bin/link; stat -c '%a %h' out/etc/deep/word; test -p out/etc/fifo", &listed), 0);
    assert_string_equal(buffer_text(&listed), "hello\n../etc\n4755 2\n");
    text.len = 0;
    assert_true(layout_read_blob(buffer_text(&layout), manifest, 1 << 16, &text, &err));
    assert_non_null(strstr(buffer_text(&text), "application/vnd.oci.image.layer.v1.tar\""));
    assert_true(directory_remove(folder, &err));
}

static void a_root_that_is_not_there_is_named(void **state)
{
    AUTO(text) char           *folder = NULL;
    AUTO(buffer) struct buffer layout = { 0 };
    char                       manifest[LAYOUT_DIGEST_LEN];
    struct err                 err;

    (void) state;
    assert_true(directory_make_temporary("cloister-packed-", &folder, &err));
    buffer_printf(&layout, "%s/image", folder);
    struct packed_root_options options = { "/nowhere/at/all", buffer_text(&layout), "0:0", "/" };
    assert_false(packed_root_make(&options, manifest, &err));
    assert_int_equal(err.kind, ERR_OS);
    assert_non_null(strstr(err.text, "pack the root file system: "));
    assert_true(directory_remove(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_becomes_one_layer_as_it_was),
        cmocka_unit_test(a_root_that_is_not_there_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
