/* TCB statuses, their convergence, and the advisories that go with them. [tdx.md 2.7; TDX-DCAP 4.1.2] */
#pragma once

#include "base/json.h"

#define TCB_STATUSES(X)                                                                             \
    X(UP_TO_DATE,                      "UpToDate")                                                  \
    X(SW_HARDENING_NEEDED,             "SWHardeningNeeded")                                         \
    X(CONFIGURATION_NEEDED,            "ConfigurationNeeded")                                       \
    X(CONFIGURATION_AND_SW_HARDENING_NEEDED, "ConfigurationAndSWHardeningNeeded")                   \
    X(OUT_OF_DATE,                     "OutOfDate")                                                 \
    X(OUT_OF_DATE_CONFIGURATION_NEEDED, "OutOfDateConfigurationNeeded")                             \
    X(RELAUNCH_ADVISED,                "TDRelaunchAdvised")                                         \
    X(RELAUNCH_ADVISED_CONFIGURATION_NEEDED, "TDRelaunchAdvisedConfigurationNeeded")                \
    X(REVOKED,                         "Revoked")

#define TCB_STATUS_ENUM(name, text) TCB_##name,
enum tcb_status { TCB_STATUSES(TCB_STATUS_ENUM) N_TCB_STATUSES };
#undef TCB_STATUS_ENUM

const char     *tcb_status_name(enum tcb_status status);
enum tcb_status tcb_status_by_name(const char *name); /* exact; N_TCB_STATUSES when there is none */

enum { ADVISORIES_MAX = 64, ADVISORY_LEN_MAX = 31 };

struct advisories {
    char   id[ADVISORIES_MAX][ADVISORY_LEN_MAX + 1]; /* each once */
    size_t n;
};

/* A TCB level's answer: its status, date and advisories. */
struct tcb_outcome {
    enum tcb_status   status;
    int64_t           date;
    struct advisories advisories;
};

bool advisories_have(const struct advisories *set, const char *id);
/* Adds the texts of a JSON array that advisories_check has accepted; false when they do not fit. */
bool advisories_add(struct advisories *set, struct json_object *ids);
/* Whether `ids` is NULL or an array of printable texts that fit. */
bool advisories_check(struct json_object *ids);

/* Overall status of a platform, its TDX module and its quoting enclave. [TDX-DCAP 4.1.2.3] */
enum tcb_status tcb_status_converge(enum tcb_status platform, enum tcb_status module, enum tcb_status qe);

/* Status of a TD launched under `launch` on a platform that by now has `current`. [TDX-DCAP 4.1.2.4] */
enum tcb_status tcb_status_relaunch(enum tcb_status launch, enum tcb_status current);
