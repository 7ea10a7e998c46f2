/* cloister doctor: what this host can run, what is missing, and how to mend it. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/options.h"
#include "base/process.h"
#include "runtime/cli/commands.h"
#include "runtime/cli/guest_bundle.h"
#include "runtime/vmm/host.h"

enum finding_level { FINDING_GOOD, FINDING_NOTE, FINDING_MISSING };
static const char *const level_names[] = { "ok", "note", "missing" };

enum { FINDINGS_MAX = 40 };

struct finding {
    enum finding_level level;
    const char        *what; /* static text */
    char               found[160];
    const char        *mend; /* static text; NULL when there is nothing to do */
};

struct diagnosis {
    struct finding findings[FINDINGS_MAX];
    size_t         n;
    struct host    host;
};

static void find(struct diagnosis *d, enum finding_level level, const char *what, const char *found, const char *mend)
{
    struct finding *f = &d->findings[d->n];

    if (d->n == FINDINGS_MAX)
        return;
    *f = (struct finding){ .level = level, .what = what, .mend = mend };
    (void) snprintf(f->found, sizeof f->found, "%s", found); /* cut by design */
    d->n++;
}

/* ---- the checks, in the order in which they are printed ---- */

static void check_cpu(struct diagnosis *d)
{
    const char *name = strstr((const char *) d->host.cpuinfo.at, "model name");
    char        found[160];
    const char *colon = name ? strchr(name, ':') : NULL;

    (void) snprintf(found, sizeof found, "%.*s", colon ? (int) strcspn(colon + 2, "\n") : 7, colon ? colon + 2 : "unknown"); /* cut by design */
    find(d, FINDING_GOOD, "CPU", found, NULL);
    find(d, host_cpu_has(&d->host, "svm") || host_cpu_has(&d->host, "vmx") ? FINDING_GOOD : FINDING_NOTE, "hardware virtualisation",
         host_cpu_has(&d->host, "svm") ? "svm (AMD)" : host_cpu_has(&d->host, "vmx") ? "vmx (Intel)" : "neither svm nor vmx",
         host_cpu_has(&d->host, "svm") || host_cpu_has(&d->host, "vmx") ? NULL : "enable it in the firmware setup, or nested virtualisation in the outer hypervisor");
    find(d, host_cpu_has(&d->host, "sev_snp") ? FINDING_GOOD : FINDING_NOTE, "SEV-SNP in the CPU", host_cpu_has(&d->host, "sev_snp") ? "sev_snp" : "no", NULL);
    find(d, host_cpu_has(&d->host, "tdx_host_platform") ? FINDING_GOOD : FINDING_NOTE, "TDX in the CPU", host_cpu_has(&d->host, "tdx_host_platform") ? "tdx_host_platform" : "no", NULL);
}

static void check_kernel(struct diagnosis *d)
{
    struct utsname name;
    unsigned       major = 0, minor = 0;

    if (uname(&name) < 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
        return;

    bool has_snp = major > 6 || (major == 6 && minor >= 11), has_tdx = major > 6 || (major == 6 && minor >= 16);

    find(d, has_snp ? FINDING_GOOD : FINDING_NOTE, "host kernel", name.release,
         has_tdx ? NULL : has_snp ? "--tee tdx needs Linux 6.16" : "--tee snp needs Linux 6.11, --tee tdx 6.16");
}

static void check_device(struct diagnosis *d, const char *path, const char *what, const char *absent_mend)
{
    AUTO(fd) int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd >= 0)
        find(d, FINDING_GOOD, what, "opens", NULL);
    else if (access(path, F_OK) == 0)
        find(d, FINDING_MISSING, what, "is there, but this user may not open it", "add the user to the group that owns it, and log in again");
    else
        find(d, FINDING_NOTE, what, "is not there", absent_mend);
}

static void check_devices(struct diagnosis *d)
{
    check_device(d, "/dev/kvm", "/dev/kvm", "modprobe kvm_amd, or kvm_intel");
    check_device(d, "/dev/sev", "/dev/sev", "it comes with kvm_amd on a CPU with SEV, enabled in the firmware setup");
    check_device(d, "/dev/vhost-vsock", "/dev/vhost-vsock", "modprobe vhost_vsock; without it the agent is reached by virtio-serial");
    find(d, d->host.has_snp ? FINDING_GOOD : FINDING_NOTE, "kvm_amd sev_snp", d->host.has_snp ? "Y" : "not on", NULL);
    find(d, d->host.has_tdx ? FINDING_GOOD : FINDING_NOTE, "kvm_intel tdx", d->host.has_tdx ? "Y" : "not on", NULL);
}

static void check_qemu(struct diagnosis *d)
{
    static const char *const   argv[] = { "qemu-system-x86_64", "--version", NULL };
    AUTO(buffer) struct buffer out    = { 0 };
    const char                *version;
    int                        code   = 0;
    unsigned                   major = 0, minor = 0;
    char                       found[160];
    struct err                 err;

    if (!process_run(argv, (struct bytes){ 0 }, 65536, 10000, &out, &code, &err) || code != 0) {
        find(d, FINDING_MISSING, "QEMU", err.kind == ERR_NOT_FOUND ? "is not installed" : "does not start", "apt-get install qemu-system-x86");
        return;
    }
    version = strstr(buffer_text(&out), "version ");
    if (!version || sscanf(version, "version %u.%u", &major, &minor) != 2)
        return;
    (void) snprintf(found, sizeof found, "%u.%u", major, minor); /* fits */
    find(d, major >= 7 ? FINDING_GOOD : FINDING_MISSING, "QEMU", found,
         major > 10 || (major == 10 && minor >= 1) ? NULL
         : major >= 10 || (major == 9 && minor >= 1) ? "--tee tdx needs QEMU 10.1"
                                                     : "--tee snp needs QEMU 9.1, --tee tdx 10.1");
}

static void check_cgroup(struct diagnosis *d)
{
    struct statfs at;
    bool          is_v2 = statfs("/sys/fs/cgroup", &at) == 0 && at.f_type == 0x63677270; /* CGROUP2_SUPER_MAGIC */

    find(d, FINDING_GOOD, "cgroups", is_v2 ? "v2" : access("/sys/fs/cgroup/unified", F_OK) == 0 ? "v1 with v2 beside it" : "v1", NULL);
}

static void check_guest(struct diagnosis *d, const char *directory)
{
    AUTO(guest_bundle) struct guest_bundle bundle  = { 0 };
    struct guest_bundle_options            options = { .directory = directory, .tee = TEE_SIM };
    struct err                             err;

    if (guest_bundle_find(&options, &bundle, &err))
        find(d, FINDING_GOOD, "guest image", bundle.initrd, NULL);
    else
        find(d, FINDING_MISSING, "guest image", "not found", "build it (./demo does), or name one with --guest DIR");
}

static void check_choice(struct diagnosis *d)
{
    enum accelerator accel;
    enum tee         tee;
    const char      *why;
    char             found[160];
    struct err       err;

    if (host_choose_tee("auto", &d->host, &tee, &why, &err)) {
        (void) snprintf(found, sizeof found, "%s: %s", tee_name(tee), why); /* fits */
        find(d, tee == TEE_SIM ? FINDING_NOTE : FINDING_GOOD, "--tee auto chooses", found,
             tee == TEE_SIM ? "sim protects nothing: for development only" : NULL);
    }
    if (host_choose_accelerator("auto", &d->host, &accel, &why, &err)) {
        (void) snprintf(found, sizeof found, "%s: %s", accelerator_name(accel), why); /* fits */
        find(d, FINDING_GOOD, "--accel auto chooses", found, NULL);
    }
}

/* ---- printing ---- */

static void print_text(const struct diagnosis *d)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct finding *f = &d->findings[i];

        printf("%-8s %-24s %s\n", level_names[f->level], f->what, f->found);
        if (f->mend)
            printf("%-8s %-24s -> %s\n", "", "", f->mend);
    }
}

static void print_json(const struct diagnosis *d)
{
    AUTO(json) struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < d->n; i++) {
        struct json_object *row = json_object_new_object();

        json_add_text(row, "check", d->findings[i].what);
        json_add_text(row, "level", level_names[d->findings[i].level]);
        json_add_text(row, "found", d->findings[i].found);
        json_add(row, "mend", d->findings[i].mend ? json_object_new_string(d->findings[i].mend) : NULL);
        if (json_object_array_add(list, row) != 0)
            abort();
    }
    puts(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
}

int cmd_doctor(int argc, char **argv)
{
    struct diagnosis         d         = { 0 };
    const char              *directory = NULL;
    bool                     as_json   = false;
    const struct option_row  rows[]    = {
        { "json", OPTION_FLAG, &as_json, NULL, "print a JSON array", 0, 0 },
        { "guest", OPTION_TEXT, &directory, "DIR", "guest image to look at", 0, 0 },
    };
    const struct option_table table = { "cloister doctor", "[OPTION]...",
                                        "Says what this host can run, what is missing, and how to mend it. Exits 1 when something is missing.",
                                        rows, sizeof rows / sizeof *rows, false, NULL };
    enum options_outcome outcome;
    char               **operands;
    size_t               n;
    struct err           err;
    bool                 is_missing = false;

    if (!options_parse(&table, argc, argv, &outcome, &operands, &n, &err) ||
        (outcome == OPTIONS_RUN && n > 0 && !fail_with(&err, ERR_CONFIG, "no operands are wanted; see cloister doctor --help"))) {
        fprintf(stderr, "cloister: doctor: %s\n", err.text);
        return 2;
    }
    if (outcome == OPTIONS_HELP_WAS_PRINTED)
        return 0;
    if (!host_look("", &d.host, &err)) {
        fprintf(stderr, "cloister: doctor: %s\n", err.text);
        return 2;
    }
    check_cpu(&d);
    check_kernel(&d);
    check_devices(&d);
    check_qemu(&d);
    check_cgroup(&d);
    check_guest(&d, directory);
    check_choice(&d);
    for (size_t i = 0; i < d.n; i++)
        is_missing |= d.findings[i].level == FINDING_MISSING;
    if (as_json)
        print_json(&d);
    else
        print_text(&d);
    host_free(&d.host);
    return is_missing;
}
