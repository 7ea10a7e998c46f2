#include "guest/init/rights.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/init/calls.h"

/* Beyond what distributions, engines and images use. With the process's number, so that no two have one user. */
#define HELPERS_FROM 4000000000u

static FALLIBLE set_capabilities(uint64_t keep, struct err *err)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct   sets[_LINUX_CAPABILITY_U32S_3];

    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
        uint32_t half = (uint32_t) (keep >> (32 * i));
        sets[i] = (struct __user_cap_data_struct){ .effective = half, .permitted = half };
    }
    return syscall(SYS_capset, &header, sets) == 0 || err_os(err, "capabilities");
}

FALLIBLE rights_keep(uint64_t keep, struct err *err)
{
    for (unsigned long c = 0; c < 64; c++)
        if (!(keep & (1ULL << c)) && prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0 && errno != EINVAL) /* not a capability */
            return err_os(err, "capability bounds");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return err_os(err, "rights");
    return set_capabilities(keep, err);
}

FALLIBLE rights_become_nobody(struct err *err)
{
    uid_t nobody = HELPERS_FROM + (uid_t) getpid();

    if (setgroups(0, NULL) < 0 || setresgid(nobody, nobody, nobody) < 0)
        return err_os(err, "become nobody");
    for (unsigned long c = 0; c < 64; c++)
        if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0 && errno != EINVAL) /* not a capability */
            return err_os(err, "capability bounds");
    if (setresuid(nobody, nobody, nobody) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_os(err, "become nobody");
    return set_capabilities(0, err) && calls_confine(err);
}

void rights_close_all_but(const int *kept, size_t n)
{
    unsigned low = STDERR_FILENO + 1, next;

    do {
        next = ~0U;
        for (size_t i = 0; i < n; i++)
            if ((unsigned) kept[i] >= low && (unsigned) kept[i] < next)
                next = (unsigned) kept[i];
        if (next > low)
            (void) syscall(SYS_close_range, low, next == ~0U ? next : next - 1, 0); /* cannot fail with a range in order */
        low = next + 1;
    } while (next != ~0U);
}
