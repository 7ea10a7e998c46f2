#include "attestation/verifier/tdx_tcb.h"

enum { SVN_MODULE_MINOR, SVN_MODULE_VERSION, SVN_FIRST_PLATFORM }; /* bytes of TEE_TCB_SVN [tdx.md 1.3] */

const struct tdx_module *tdx_module_find(const struct tcb_info *info, struct bytes tee_tcb_svn)
{
    uint8_t version = tee_tcb_svn.at[SVN_MODULE_VERSION];

    if (version == 0)
        return &info->module;
    for (size_t i = 0; i < info->n_modules; i++)
        if (info->modules[i].version == version)
            return &info->modules[i];
    return NULL;
}

/* The two bytes that describe the module are judged by its identity, when it has one. */
static bool level_fits(const struct tcb_level *level, const struct pck_extension *pck, struct bytes svn)
{
    for (size_t i = 0; i < TCB_COMPONENTS; i++)
        if (pck->components[i] < level->sgx[i])
            return false;
    if (pck->pcesvn < level->pcesvn)
        return false;
    for (size_t i = svn.at[SVN_MODULE_VERSION] > 0 ? SVN_FIRST_PLATFORM : 0; i < TCB_COMPONENTS; i++)
        if (svn.at[i] < level->tdx[i])
            return false;
    return true;
}

static const struct tcb_level *platform_level(const struct tcb_info *info, const struct pck_extension *pck,
                                              struct bytes svn)
{
    for (size_t i = 0; i < info->n_levels; i++)
        if (level_fits(&info->levels[i], pck, svn))
            return &info->levels[i];
    return NULL;
}

static const struct isv_level *isv_level(const struct isv_levels *levels, uint16_t svn)
{
    for (size_t i = 0; i < levels->n; i++)
        if (svn >= levels->at[i].isv_svn)
            return &levels->at[i];
    return NULL;
}

static FALLIBLE outcome_add(struct tcb_outcome *o, int64_t date, struct json_object *advisories, struct err *err)
{
    if (date < o->date)
        o->date = date;
    return advisories_add(&o->advisories, advisories) ||
           fail_with(err, ERR_LIMIT, "more than %d advisories", ADVISORIES_MAX);
}

/* What one Evaluate(svn) of tdx.md 2.7 looks at. */
struct levels {
    const struct tcb_level *platform;
    const struct isv_level *module; /* NULL: judged as part of the platform */
    const struct isv_level *qe;
};

static FALLIBLE levels_find(const struct tcb_info *info, const struct pck_extension *pck, struct bytes svn,
                            struct levels *out, struct err *err)
{
    out->platform = platform_level(info, pck, svn);
    if (!out->platform)
        return fail_with(err, ERR_UNTRUSTED, "platform is below every TCB level");
    if (svn.at[SVN_MODULE_VERSION] == 0)
        return true;

    const struct tdx_module *module = tdx_module_find(info, svn);

    if (!module)
        return fail_with(err, ERR_UNTRUSTED, "TCB info does not know TDX module %u", svn.at[SVN_MODULE_VERSION]);
    out->module = isv_level(&module->levels, svn.at[SVN_MODULE_MINOR]);
    return out->module || fail_with(err, ERR_UNTRUSTED, "TDX module %u is below every level with SVN %u",
                                    svn.at[SVN_MODULE_VERSION], svn.at[SVN_MODULE_MINOR]);
}

static FALLIBLE converge(const struct levels *l, struct tcb_outcome *out, struct err *err)
{
    out->status = tcb_status_converge(l->platform->status, l->module ? l->module->status : TCB_UP_TO_DATE,
                                      l->qe->status);
    out->date   = l->platform->date;
    return outcome_add(out, l->platform->date, l->platform->advisories, err) &&
           (!l->module || outcome_add(out, l->module->date, l->module->advisories, err)) &&
           outcome_add(out, l->qe->date, l->qe->advisories, err);
}

FALLIBLE tdx_tcb_evaluate(const struct tcb_info *info, const struct qe_identity *qe, const struct pck_extension *pck,
                          const struct tdx_svns *svn, struct tdx_tcb *out, struct err *err)
{
    struct levels launch = { .qe = isv_level(&qe->levels, svn->qe) }, current = launch;

    if (!launch.qe)
        return fail_with(err, ERR_UNTRUSTED, "quoting enclave is below every level with SVN %u", svn->qe);
    if (!levels_find(info, pck, svn->launch, &launch, err) || !converge(&launch, &out->launch, err))
        return context(err, "at launch");
    out->platform   = launch.platform->status;
    out->has_module = launch.module;
    out->module     = launch.module ? launch.module->status : TCB_UP_TO_DATE;
    out->qe         = launch.qe->status;
    out->status     = out->launch.status;
    if (svn->current.len == 0)
        return true;

    if (!levels_find(info, pck, svn->current, &current, err) || !converge(&current, &out->current, err))
        return context(err, "now");
    out->has_current = true;
    out->status      = tcb_status_relaunch(out->launch.status, out->current.status);
    return true;
}
