#include "tests/harness/test.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "runtime/shim/pod_cgroup.h"

static void a_path_is_taken_as_engines_mean_it(void **state)
{
    static const struct { const char *from, *wanted; } cases[] = {
        { NULL, "" },
        { "", "" },
        { "relative", "" },
        { "/default/t1", "/default/t1" },
        { "/kubepods/burstable/pod1/abc", "/kubepods/burstable/pod1/abc" },
        { "kubepods-besteffort-podx_y.slice:cri-containerd:abc",
          "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podx_y.slice/cri-containerd-abc.scope" },
        { "system.slice:crio:abc", "/system.slice/crio-abc.scope" },
    };
    char       out[POD_CGROUP_PATH_MAX];
    struct err err;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(pod_cgroup_path(cases[i].from, out, &err));
        assert_string_equal(out, cases[i].wanted);
    }
    assert_true(pod_cgroup_path_below("/kubepods/pod1", "abc", out, &err));
    assert_string_equal(out, "/kubepods/pod1/abc");
    assert_true(pod_cgroup_path_below("/kubepods.slice/kubepods-pod1.slice", "abc", out, &err));
    assert_string_equal(out, "/kubepods.slice/kubepods-pod1.slice/cloister-abc.scope");
    assert_true(pod_cgroup_path_below("", "abc", out, &err));
    assert_string_equal(out, "");
}

static void refuses_a_path_of_another_form(void **state)
{
    static const struct { const char *from; enum err_kind kind; } cases[] = {
        { "/", ERR_MALFORMED },      { "/a/../b", ERR_MALFORMED },     { "/a//b", ERR_MALFORMED },        { "/a/", ERR_MALFORMED },
        { "/./a", ERR_MALFORMED },   { "/..", ERR_MALFORMED },         { "a.slice:x/../../y:z", ERR_MALFORMED },
        { "a:b:c", ERR_MALFORMED },  { ".slice:b:c", ERR_MALFORMED },
    };
    AUTO(buffer) struct buffer text = { 0 };
    char                       out[POD_CGROUP_PATH_MAX] = "x";
    struct err                 err;

    (void) state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (pod_cgroup_path(cases[i].from, out, &err))
            fail_msg("%s became %s", cases[i].from, out);
        assert_int_equal(err.kind, cases[i].kind);
        assert_string_equal(out, "");
    }
    buffer_append_text(&text, "/");
    memset(buffer_grow(&text, POD_CGROUP_PATH_MAX), 'a', POD_CGROUP_PATH_MAX);
    assert_false(pod_cgroup_path(buffer_text(&text), out, &err));
    assert_int_equal(err.kind, ERR_LIMIT);
}

/* Hierarchies of both versions, one of them twice, one that is not wanted; directories stand for them. */
static void makes_what_is_not_there_and_removes_no_more(void **state)
{
    static const char *const   names[] = { "memory", "cpu", "devices", "unified", "again" };
    AUTO(buffer) struct buffer mounts  = { 0 };
    AUTO(text) char           *folder  = NULL;
    struct pod_cgroup          group;
    char                       path[600];
    struct err                 err;

    (void) state;
    assert_true(directory_make_temporary("cgroup", &folder, &err));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void) snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_true(directory_make(path, &err));
        buffer_printf(&mounts, "%zu 1 0:%zu / %s rw - %s x rw,%s\n", i, i == 4 ? 0 : i, path, i == 3 ? "cgroup2" : "cgroup", names[i == 4 ? 0 : i]);
    }
    (void) snprintf(path, sizeof path, "%s/memory/kubepods/pod1", folder); /* as the kubelet makes it */
    assert_true(directory_make(path, &err));
    assert_true(pod_cgroup_make(buffer_bytes(&mounts), "/kubepods/pod1/abc", &group, &err));
    assert_int_equal(group.n, 3);
    assert_int_equal(group.at[0].made, 1);
    assert_int_equal(group.at[1].made, 3);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void) snprintf(path, sizeof path, "%s/%s/kubepods/pod1/abc", folder, names[i]);
        assert_int_equal(access(path, F_OK) == 0, i != 2 && i != 4);
    }
    (void) snprintf(path, sizeof path, "%s/cpu/kubepods/other", folder); /* someone else came meanwhile */
    assert_true(directory_make(path, &err));
    pod_cgroup_remove(&group);
    assert_int_equal(access(path, F_OK), 0);
    (void) snprintf(path, sizeof path, "%s/cpu/kubepods/pod1", folder);
    assert_int_equal(access(path, F_OK), -1);
    (void) snprintf(path, sizeof path, "%s/unified/kubepods", folder);
    assert_int_equal(access(path, F_OK), -1);
    (void) snprintf(path, sizeof path, "%s/memory/kubepods/pod1/abc", folder);
    assert_int_equal(access(path, F_OK), -1);
    (void) snprintf(path, sizeof path, "%s/memory/kubepods/pod1", folder);
    assert_int_equal(access(path, F_OK), 0);
    pod_cgroup_remove(&group); /* nothing is left to do */
    assert_true(directory_remove(folder, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_taken_as_engines_mean_it),
        cmocka_unit_test(refuses_a_path_of_another_form),
        cmocka_unit_test(makes_what_is_not_there_and_removes_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
