// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shadow paging, all of it but its glue, under random guests: operations of the guest (accesses,
 * among them to its own tables, flushes, modes), of the host (pages move, are protected, logged,
 * aged; slots come and go) and of okvm (reclaim). After each the tables are compared with the naive
 * model of shadow_machine.h, and so is what each TLB holds.
 */
#include "shadow_machine.h"
#include "shadow_checks.h"

/* ---- what the guest writes to its tables ---- */

static u64 any_frame(void)
{
	switch (rnd(10)) {
	case 0 ... 4:
		return rnd(TABLES);
	case 5 ... 8:
		return rnd(SLOTS) * 512 + 24 + rnd(12);
	default:
		return FRAMES + rnd(4);
	}
}

/* Frames from @tables_of[level] on are what the guest likes to use at that level. */
static const u8 tables_of[] = { TABLES, 15, 10, 6, 3, 0 };

static u64 table_frame(int level)
{
	return tables_of[level] + rnd(tables_of[level - 1] - tables_of[level]);
}

/* What an entry in a table at @frame points to, most of the time. */
static u64 next_frame(u64 frame)
{
	int level = 5;

	if (frame >= TABLES || chance(8))
		return any_frame();
	while (frame >= tables_of[level - 1])
		level--;
	if (level > 1)
		return table_frame(level - 1);
	return chance(40) ? table_frame(1) : any_frame();
}

static u64 any_entry(const struct walk_mode *m, u64 frame)
{
	u64 e = next_frame(frame) << 12;

	if (chance(8))
		return chance(50) ? 0 : e;
	e |= 1 | rnd(4) << 1 | (chance(80) ? 6 : 0);
	e |= (chance(80) ? 0x60 : rnd(4) << 5);
	if (chance(6))
		e = (e & 0xfff) | 0x80 | (u64)rnd(SLOTS + 1) << 21;
	if (m->levels > 2 && chance(8))
		e |= 1ull << 63;
	if (chance(1))
		e |= 1ull << (13 + rnd(50));
	return e;
}

/* Where in a table the addresses of interest have their entries. */
static unsigned int any_index(const struct walk_mode *m)
{
	if (m->levels == 2)
		return chance(50) ? idx_32[rnd(4)] : idx_32_top[rnd(4)];
	return idx_low[rnd(4)];
}

static unsigned int any_offset(const struct walk_mode *m)
{
	return any_index(m) * (m->levels == 2 ? 4 : 8);
}

/* ---- the guest ---- */

static struct cpu *any_cpu(void)
{
	return &cpus[rnd(CPUS)];
}

static void load(struct cpu *cpu)
{
	cpu->outside = true;
	cpu->reload = false;
	if (shadow_load(&cpu->vcpu))
		VIOLATION("step %lu: no root", step);
	cpu->outside = false;
}

static void unload(struct cpu *cpu)
{
	cpu->outside = true;
	shadow_unload(&cpu->vcpu);
}

/* The guest owes nothing any more for what it has flushed. */
static void flushed(struct cpu *cpu)
{
	memset(cpu->nr_seen, 0, sizeof(cpu->nr_seen));
}

static void mode_new(struct cpu *cpu, int levels)
{
	struct walk_mode *m = &cpu->mmu.mode;

	*m = (struct walk_mode){
		.levels = levels, .maxphyaddr = chance(50) ? 52 : 36, .wp = chance(70),
		.nx = chance(80), .smep = chance(40), .smap = chance(40), .pse = chance(80),
		.gbpages = chance(50),
	};
	if (!levels)
		m->wp = true;
}

static void op_mode(struct cpu *cpu)
{
	static const u8 levels[] = { 0, 2, 3, 4, 5 };

	mode_new(cpu, chance(50) ? mode_of(cpu)->levels : levels[rnd(5)]);
	load(cpu);
	flushed(cpu);
}

static void op_cr3(struct cpu *cpu)
{
	int level = mode_of(cpu)->levels;

	cpu->cr3 = (level < 2 || chance(3) ? any_frame() : table_frame(level)) << 12;
	for (int i = 0; i < 4; i++)
		cpu->pdptrs[i] = chance(90) ? table_frame(2) << 12 | 1 : 0;
	if (cpu->reload || chance(30) || !shadow_cr3_fast(&cpu->vcpu))
		load(cpu);
	flushed(cpu);
}

static void op_flush(struct cpu *cpu)
{
	load(cpu);
	flushed(cpu);
}

/* Of what address @id has had: a page of the guest's is flushed as a whole, whatever its size. */
static void forget_page(struct cpu *cpu, unsigned int id, u64 gva)
{
	unsigned int i, n = 0, bits = mode_of(cpu)->levels == 2 ? 10 : 9;

	for (i = 0; i < cpu->nr_seen[id]; i++) {
		struct translation *t = &cpu->seen[id][i];

		if ((gva_of(cpu, id) ^ gva) >> (12 + bits * (t->level - 1)))
			cpu->seen[id][n++] = *t;
	}
	cpu->nr_seen[id] = n;
}

static void op_invlpg(struct cpu *cpu)
{
	unsigned int id = rnd(nr_gvas(mode_of(cpu)->levels));

	mmu_policy_shadow.invalidate(&cpu->vcpu, OKVM_INVLPG, 0, gva_of(cpu, id));
	for (unsigned int other = 0; other < nr_gvas(mode_of(cpu)->levels); other++)
		forget_page(cpu, other, gva_of(cpu, id));
}

/* TLBs of @cpu take what a walk finds of its address @id. */
static void look(struct cpu *cpu, unsigned int id)
{
	u64 *leaf, gfn;

	leaf = hw_walk(cpu, gva_of(cpu, id), KERNEL_READ, &gfn);
	if (leaf)
		tlb_fill(cpu, id, *leaf, gfn);
}

/* The other CPU has seen in memory what @cpu is about to tell the shadow of, and flushes. */
static void see_early(const struct cpu *cpu)
{
	struct cpu *other = &cpus[cpu == &cpus[0]];

	if (busy[other - cpus])
		return;
	if (other->reload)
		load(other);
	op_invlpg(other);
	for (unsigned int id = 0; id < nr_gvas(mode_of(other)->levels); id++)
		look(other, id);
}

/* What was written to @gpa by hardware or by an emulated instruction. */
static void store(struct cpu *cpu, u64 gpa, bool emulated)
{
	const struct walk_mode *m = mode_of(cpu);
	unsigned int size = m->levels == 2 ? 4 : 8;
	unsigned int at = any_offset(m);
	u64 val = any_entry(m, gpa >> 12);

	if (chance(3)) {
		size = 1 << rnd(4);
		at = rnd(4096 / size) * size;
	}
	guest_write((gpa & ~0xfffull) | at, size, val);
	if (emulated && chance(30))
		see_early(cpu);
	if (emulated)
		shadow_wrote(&cpu->vcpu, (gpa & ~0xfffull) | at, size);
	host.dirty[gpa >> 12] |= slot_of(gpa >> 12)->flags & KVM_MEM_LOG_DIRTY_PAGES;
}

/* Of the one entry at @gpa. */
static void store_entry(struct cpu *cpu, u64 gpa)
{
	guest_write(gpa & ~7ull, 8, any_entry(mode_of(cpu), gpa >> 12));
	shadow_wrote(&cpu->vcpu, gpa & ~7ull, 8);
	host.dirty[gpa >> 12] |= slot_of(gpa >> 12)->flags & KVM_MEM_LOG_DIRTY_PAGES;
}

static u32 acc_of(int kind)
{
	return (kind_is_write(kind) ? WALK_WRITE : 0) | (kind_is_user(kind) ? WALK_USER : 0) |
	       (kind_is_fetch(kind) ? WALK_FETCH : 0);
}

/* The verdict was to emulate an access to @told: has it a reason? Then the instruction is done. */
static void emulate(struct cpu *cpu, u64 gva, int kind, u64 told)
{
	struct shadow_fault f = {
		.vcpu = &cpu->vcpu, .gva = gva, .access = acc_of(kind), .mode = *mode_of(cpu),
	};
	struct okvm_memslot *slot;
	struct walk_fault fault;

	if (f.mode.levels < 4)
		f.gva = (u32)gva;
	if (gva_walk(&cpu->vcpu, &f, &fault))
		return;
	slot = slot_of(f.result.gpa >> 12);
	if (!slot || !kind_is_write(kind))
		return;
	if (slot->flags & KVM_MEM_READONLY)
		return;
	/* The guest may have put memory where the MMIO entry is, and not flushed yet. */
	if (slot_of(told >> 12) && !rmap_shadowed(mmu.shadow, f.result.gpa >> 12) &&
	    !(f.mode.smap && !f.mode.wp))
		VIOLATION("step %lu: emulation without a reason", step);
	store(cpu, f.result.gpa, true);
}

static void slot_change(unsigned int i, bool there, u32 flags);

/*
 * Between the fast way, which has walked the guest's tables, and the slow one. It has to walk again
 * if the slots or the root are others.
 */
static void between_ways(struct cpu *cpu)
{
	void (*others)(struct okvm_vcpu *vcpu) = meanwhile;
	unsigned int i = 1 + rnd(SLOTS - 1);

	if (!others || !cpu->mmu.shadow->fault.walked)
		return;
	busy_begin(&cpu->vcpu);
	if (chance(10)) {
		slot_change(i, chance(70), chance(30) ? KVM_MEM_READONLY : 0);
		cpu->reload = true;
	} else {
		others(&cpu->vcpu);
	}
	busy_end(&cpu->vcpu, false);
}

/* With IRQs off first, as a backend does. @want: the guest's own fault, by the tables' last walk */
static int page_fault(struct cpu *cpu, struct okvm_page_fault *pf, int *want)
{
	int kind = cpu->kind, verdict = OKVM_FAULT_SLOW;
	struct says s;

	if (chance(60))
		verdict = shadow_page_fault_fast(&cpu->vcpu, pf);
	if (verdict != OKVM_FAULT_SLOW)
		return verdict;
	between_ways(cpu);
	if (!cpu->mmu.shadow->fault.walked || cpu->mmu.shadow->fault.gen != slots_gen) {
		s = naive(cpu, pf->gva);
		*want = expected(mode_of(cpu), &s, kind);
	}
	return shadow_page_fault(&cpu->vcpu, pf);
}

/* The writes of whoever makes an access of @kind. */
static u8 writes_like(int kind)
{
	return kind_is_user(kind) ? 1 << USER_WRITE : 1 << KERNEL_WRITE | 1 << AC_WRITE;
}

/* Return: true if the access is over */
static bool fault(struct cpu *cpu, unsigned int id, int kind)
{
	u64 gva = gva_of(cpu, id);
	struct okvm_page_fault pf = { .gva = gva, .acc = acc_of(kind) };
	struct says s = naive(cpu, gva);
	int want = expected(mode_of(cpu), &s, kind), verdict;

	cpu->kind = kind;
	verdict = page_fault(cpu, &pf, &want);
	switch (verdict) {
	case OKVM_FAULT_FIXED:
		if (want >= 0)
			VIOLATION("step %lu: the guest's fault %#x is kept from it", step, want);
		return want >= 0;
	case OKVM_FAULT_GUEST:
		/* A table that is in no memory: not present, as far as can be told. */
		if (want != (int)pf.guest.error_code)
			VIOLATION("step %lu: the guest gets #PF(%#x), it expects %#x", step,
				  pf.guest.error_code, want);
		return true;
	case OKVM_FAULT_MMIO:
		if (!(allowed(cpu, id, pf.gpa >> 12) & 1 << kind))
			VIOLATION("step %lu: a device is accessed that the guest's tables forbid",
				  step);
		if (!pf.readonly && !(allowed(cpu, id, pf.gpa >> 12) & writes_like(kind)))
			VIOLATION("step %lu: a device is taken to be writable", step);
		emulate(cpu, gva, kind, pf.gpa);
		return true;
	case OKVM_FAULT_SIGNAL:
		/* The wait for the end of an invalidation, which was interrupted. */
		if (!mmu.inv_active)
			VIOLATION("step %lu: a wait for nothing", step);
		return true;
	default:
		VIOLATION("step %lu: verdict %d", step, verdict);
		return true;
	}
}

static void access_done(struct cpu *cpu, const struct translation *t, int kind)
{
	if (kind_is_write(kind) && slot_of(t->gfn))
		store(cpu, t->gfn << 12, false);
}

static void op_access(struct cpu *cpu)
{
	unsigned int id = rnd(nr_gvas(mode_of(cpu)->levels)), tries;
	int kind = rnd(KINDS);
	u64 gva = gva_of(cpu, id), *leaf, gfn;

	if (!mode_of(cpu)->smap && kind >= AC_READ)
		kind -= 3;
	cpu->ac = kind >= AC_READ;
	for (tries = 0; tries < 16 && !violations; tries++) {
		struct translation *t = tlb_find(cpu, id, kind);

		if (t) {
			access_done(cpu, t, kind);
			return;
		}
		if (cpu->reload)
			load(cpu);
		leaf = hw_walk(cpu, gva, kind, &gfn);
		if (leaf) {
			tlb_fill(cpu, id, *leaf, gfn);
			if (!tlb_find(cpu, id, kind))
				return;
			continue;
		}
		if (fault(cpu, id, kind))
			return;
	}
	if (!violations)
		VIOLATION("step %lu: an access to %#llx (kind %d, %d levels) that never ends", step,
			  (unsigned long long)gva, kind, mode_of(cpu)->levels);
}

/* Accesses of one instruction or event: what can pass at all passes together, without a TLB. */
#define TOGETHER	4

static int together_kind(bool user, bool ac)
{
	int kind = rnd(3);

	/* The CPU reads descriptors for whoever runs. */
	if (user)
		return chance(25) ? KERNEL_READ : kind;
	return kind < 2 && ac ? AC_READ + kind : KERNEL_READ + kind;
}

/* Return: the first access that has no translation, @n if all have one */
static unsigned int together_stuck(struct cpu *cpu, const u64 *gva, const int *kind, unsigned int n)
{
	unsigned int i;
	u64 gfn;

	if (cpu->reload)
		load(cpu);
	for (i = 0; i < n; i++) {
		if (!hw_walk(cpu, gva[i], kind[i], &gfn))
			break;
	}
	return i;
}

static void together(struct cpu *cpu, const u64 *gva, const int *kind, unsigned int n)
{
	void (*others)(struct okvm_vcpu *vcpu) = meanwhile;
	unsigned int tries, i;

	meanwhile = NULL;
	for (tries = 0; tries < 16 * n && !violations; tries++) {
		struct okvm_page_fault pf = {};
		int want;

		i = together_stuck(cpu, gva, kind, n);
		if (i == n)
			break;
		pf.gva = gva[i];
		pf.acc = acc_of(kind[i]);
		/* The guest's own fault, or no memory: another instruction is next. */
		if (page_fault(cpu, &pf, &want) != OKVM_FAULT_FIXED)
			break;
	}
	if (tries == 16 * n)
		VIOLATION("step %lu: %u accesses that never pass together", step, n);
	meanwhile = others;
}

static void op_together(struct cpu *cpu)
{
	unsigned int n = 2 + rnd(TOGETHER - 1), base = rnd(nr_gvas(mode_of(cpu)->levels));
	bool user = chance(40);
	u64 gva[TOGETHER];
	int kind[TOGETHER];

	cpu->ac = !user && mode_of(cpu)->smap && chance(50);
	for (unsigned int i = 0; i < n; i++) {
		/* Close to each other, most of the time: behind the same large page. */
		unsigned int id = chance(70) ? (base & ~3u) + rnd(4) :
					       rnd(nr_gvas(mode_of(cpu)->levels));

		gva[i] = gva_of(cpu, id);
		kind[i] = together_kind(user, cpu->ac);
	}
	together(cpu, gva, kind, n);
}

/* As the kernel's memset() of a page that is to be a table, or a device's. */
static void op_emulated(struct cpu *cpu)
{
	u64 gfn = rnd(TABLES);

	if (slot_of(gfn) && !(slot_of(gfn)->flags & KVM_MEM_READONLY))
		store(cpu, gfn << 12, true);
}

/* ---- the host ---- */

static u64 any_backed(void)
{
	return chance(50) ? rnd(TABLES) : rnd(SLOTS) * 512 + 24 + rnd(12);
}

static bool slot_changing;

static void slot_change(unsigned int i, bool there, u32 flags)
{
	struct mmu_zap z;

	slot_changing = true;
	remember();
	slots_gen += 2;
	slot_there[i] = false;
	shadow_zap_begin(&z, &mmu, true);
	z.frames_leave = true;
	shadow_zap_range(&z, i * 512, i * 512 + 512);
	shadow_zap_end(&z);
	for (int c = 0; c < CPUS; c++) {
		if (!busy[c])
			load(&cpus[c]);
	}
	slots_gen += 2;
	slots[i].flags = flags;
	slot_there[i] = there;
	if ((slots_gen >> 1 & SPTE_MMIO_GEN_MASK) < 2)
		shadow_zap_mmio(&mmu);
	slot_changing = false;
}

static void log_begin(unsigned int i)
{
	slots[i].flags |= KVM_MEM_LOG_DIRTY_PAGES;
	memset(&host.dirty[i * 512], 0, 512);
	shadow_write_protect(&mmu, i * 512, i * 512 + 512);
	okvm_mmu_flush_vm(&vm);
}

static void log_harvest(unsigned int i)
{
	memset(&host.dirty[i * 512], 0, 512);
	shadow_write_protect(&mmu, i * 512, i * 512 + 512);
	okvm_mmu_flush_vm(&vm);
}

static void op_slot(void)
{
	unsigned int i;

	/* Who changes slots waits for those who look for a page in them (vm->srcu). */
	if (!meanwhile)
		return;
	/* Slot 0, where the tables are, goes seldom. */
	i = chance(90) ? 1 + rnd(SLOTS - 1) : 0;
	switch (rnd(6)) {
	case 0:
		slot_change(i, i == 0, 0);
		break;
	case 1:
		slot_change(i, true, 0);
		break;
	case 2:
		slot_change(i, true, KVM_MEM_READONLY);
		break;
	case 3:
		if (slot_there[i] && !(slots[i].flags & KVM_MEM_READONLY))
			log_begin(i);
		break;
	case 4:
		if (slots[i].flags & KVM_MEM_LOG_DIRTY_PAGES)
			log_harvest(i);
		break;
	case 5:
		slots[i].flags &= ~KVM_MEM_LOG_DIRTY_PAGES;
		break;
	}
}

static void op_host(void)
{
	u64 gfn = any_backed();

	switch (rnd(12)) {
	case 0 ... 4:
		host_move(gfn);
		break;
	case 5:
		host_collapse(rnd(SLOTS));
		break;
	case 6 ... 7:
		host_protect(gfn);
		break;
	case 8:
		shadow_age(&mmu, gfn, gfn + 1, true);
		break;
	case 9:
		shadow_age(&mmu, 0, FRAMES, chance(50));
		break;
	default:
		op_slot();
	}
}

static void shrink(unsigned long nr)
{
	struct shrink_control sc = { .nr_to_scan = nr };
	unsigned long there = shrinker.count_objects(&shrinker, &sc);
	unsigned long gone = shrinker.scan_objects(&shrinker, &sc);

	if (there == SHRINK_EMPTY ? gone != SHRINK_STOP : gone > there)
		VIOLATION("step %lu: %lu tables shrunk of %lu", step, gone, there);
}

/* The module's own page comes and goes, as okvm_mmu_set_hole() has it. */
static void hole_change(void)
{
	struct mmu_zap z;

	mmu.hole[0].gfn = HOLE;
	mmu.hole[0].pfn = mmu.hole[0].pfn ? 0 : HOLE_PFN;
	shadow_zap_begin(&z, &mmu, false);
	z.frames_leave = true;
	shadow_zap_range(&z, HOLE, HOLE + 1);
	shadow_zap_end(&z);
}

static void op_okvm(void)
{
	switch (rnd(9)) {
	case 0 ... 1:
		shadow_set_limit(&mmu, 1);
		break;
	case 2:
		shadow_unprotect(&vm, rnd(TABLES));
		break;
	case 3:
		shadow_recover_nx(&mmu, 1 + rnd(3));
		break;
	case 4:
		mmu.nx_huge = !mmu.nx_huge;
		shadow_free_all(&mmu);
		break;
	case 5:
		unload(any_cpu());
		for (int c = 0; c < CPUS; c++)
			load(&cpus[c]);
		break;
	case 6:
		shrink(chance(50) ? 4 : 1000);
		break;
	case 7:
		hole_change();
		break;
	default:
		slots_gen = (slots_gen + 2) | (u64)rnd(2) << 18;
		break;
	}
}

/* ---- all of it ---- */

static void guest_op(struct cpu *cpu)
{
	switch (rnd(100)) {
	case 0 ... 67:
		op_access(cpu);
		break;
	case 68 ... 77:
		op_together(cpu);
		break;
	case 78 ... 85:
		op_emulated(cpu);
		break;
	case 86 ... 93:
		op_invlpg(cpu);
		break;
	case 94 ... 97:
		op_cr3(cpu);
		break;
	case 98:
		op_flush(cpu);
		break;
	default:
		op_mode(cpu);
	}
}

static void any_op(void)
{
	u32 what = rnd(200);

	if (what < 180)
		guest_op(any_cpu());
	else if (what < 198)
		op_host();
	else
		op_okvm();
}

/* While the host looks for the page of one CPU, the other goes on, or the host does. */
static void others(struct okvm_vcpu *vcpu)
{
	bool before;

	if (!chance(15))
		return;
	before = busy_begin(vcpu);
	meanwhile = NULL;
	if (chance(20) && walk_end && !(slot_of(walk_end >> 12)->flags & KVM_MEM_READONLY))
		store_entry(&cpus[vcpu == &cpus[0].vcpu], walk_end);
	else if (chance(30))
		op_host();
	else
		guest_op(&cpus[vcpu == &cpus[0].vcpu]);
	meanwhile = others;
	busy_end(vcpu, before);
}

/* In the middle of something else. The CPU that does it may be this one: it keeps its EFLAGS.AC. */
static void guest_goes_on(void)
{
	void (*others)(struct okvm_vcpu *vcpu) = meanwhile;
	struct cpu *cpu = any_cpu();
	bool ac;

	if (busy[cpu - cpus])
		cpu = &cpus[cpu == &cpus[0]];
	if (busy[cpu - cpus] || !chance(30))
		return;
	ac = cpu->ac;
	meanwhile = NULL;
	guest_op(cpu);
	meanwhile = others;
	cpu->ac = ac;
}

/* While something is removed piece by piece, the guest goes on, and slots change. */
static void others_between(void)
{
	guest_goes_on();
	if (!slot_changing && chance(5))
		op_slot();
}

/* While the host's pages are unmapped, and still there, the guest goes on. */
static void others_invalidating(void)
{
	void (*others)(void) = between;

	between = NULL;
	guest_goes_on();
	between = others;
}

static void start(u64 seed)
{
	static const u8 levels[] = { 4, 3, 2, 5, 0 };

	rng_state = seed * 0x9e3779b97f4a7c15ull + 1;
	violations = 0;
	memset(&host, 0, sizeof(host));
	memset(mem, 0, sizeof(mem));
	memset(cpus, 0, sizeof(cpus));
	mmu.inv_seq = 0;
	mmu.hole[0].pfn = 0;
	mmu.nx_huge = false;
	slots_gen = 4;
	vm.mmu = &mmu;
	vm.created_vcpus = CPUS;
	resched = false;
	for (unsigned int i = 0; i < SLOTS; i++) {
		slots[i] = (struct okvm_memslot){ .base = i * 512, .npages = 512,
						  .hva = (1ul << 40) + i * 512 * PAGE_SIZE };
		slot_there[i] = true;
		host.huge[i] = chance(50);
	}
	memset(host.writable, 1, sizeof(host.writable));
	if (shadow_init() || shadow_vm_create(&mmu))
		exit(1);
	for (int c = 0; c < CPUS; c++) {
		cpus[c].vcpu.vm = &vm;
		cpus[c].vcpu.idx = c;
		cpus[c].vcpu.mmu = &cpus[c].mmu;
		shadow_vcpu_create(&cpus[c].vcpu);
		mode_new(&cpus[c], levels[(seed + (chance(20) ? c : 0)) % 5]);
	}
	for (unsigned int t = 0; t < TABLES; t++) {
		for (unsigned int i = 0; i < 24; i++)
			mem_write((u64)t << 12 | any_offset(mode_of(&cpus[0])),
				  mode_of(&cpus[0])->levels == 2 ? 4 : 8,
				  any_entry(mode_of(&cpus[0]), t));
	}
	for (int c = 0; c < CPUS; c++)
		op_cr3(&cpus[c]);
	meanwhile = others;
	between = others_between;
	invalidating = others_invalidating;
}

/* Everything that was made is gone, and every counter knows. */
static void end(void)
{
	between = NULL;
	invalidating = NULL;
	for (int c = 0; c < CPUS; c++) {
		tlb_flush(&cpus[c]);
		shadow_vcpu_destroy(&cpus[c].vcpu);
	}
	shadow_free_all(&mmu);
	if (!violations) {
		for (int i = OKVM_VM_STAT_PAGES_4K; i <= OKVM_VM_STAT_NX_SPLITS; i++)
			EXPECT_EQ(atomic64_read(&vm.stat[i]), 0);
		EXPECT_EQ(tables_accounted, 0);
	}
	shadow_vm_destroy(&mmu);
	shadow_exit();
	EXPECT_EQ(pages_allocated, 0);
	memset(vm.stat, 0, sizeof(vm.stat));
	tables_accounted = 0;
	pages_allocated = 0;
}

static unsigned long checked, most_live, faults_seen;

static void run(u64 seed, unsigned long steps)
{
	start(seed);
	for (unsigned long i = 0; i < steps && !violations; i++, step++) {
		any_op();
		for (int c = 0; c < CPUS; c++) {
			if (seen_full(&cpus[c]))
				op_flush(&cpus[c]);
		}
		if (live <= 256 || step % 1000 == 0) {
			check_all();
			checked++;
		}
		if (live > most_live)
			most_live = live;
		if (violations)
			printf("# seed %llu, step %lu of its own\n", (unsigned long long)seed, i);
	}
	for (int c = 0; c < CPUS; c++)
		faults_seen += cpus[c].vcpu.stat[OKVM_STAT_PF_FIXED];
	end();
}

/* ---- what random guests seldom meet ---- */

TEST(a_role_says_the_whole_mode)
{
	static const u8 levels[] = { 2, 3, 4, 5 };

	for (unsigned int bits = 0; bits < 4 << 6; bits++) {
		struct walk_mode m = {
			.levels = levels[bits >> 6], .maxphyaddr = bits & 32 ? 52 : 36,
			.wp = bits & 1, .nx = bits & 2, .pse = bits & 4, .gbpages = bits & 8,
		};
		struct walk_mode back = role_mode(role_root(&m, 0));

		EXPECT(!memcmp(&m, &back, sizeof(m)));
		EXPECT_EQ(role_levels(role_root(&m, 0)), m.levels);
		m.smep = true;
		EXPECT_EQ(!!(role_root(&m, 0) & ROLE_SMEP_NOWP), !m.wp);
		m.smap = true;
		EXPECT_EQ(!!(role_root(&m, 0) & ROLE_SMAP_NOWP), !m.wp);
	}
}

/* Userspace may put any number there. */
TEST(a_role_has_room_for_each_maxphyaddr)
{
	for (unsigned int bits = 0; bits < 256; bits++) {
		struct walk_mode m = { .levels = 4, .maxphyaddr = walk_maxphyaddr(bits) };
		struct walk_mode back = role_mode(role_root(&m, 0));

		EXPECT(m.maxphyaddr >= 32 && m.maxphyaddr <= 52);
		EXPECT(bits < 32 || bits > 52 || m.maxphyaddr == bits);
		EXPECT_EQ(back.maxphyaddr, m.maxphyaddr);
	}
}

/* 32-bit: each part of the guest's table is in one shadow, once. */
TEST(quadrants_cover_a_table)
{
	struct walk_mode m = { .levels = 2, .maxphyaddr = 40, .pse = true, .wp = true };
	unsigned int first, last, hits;
	u32 top, role;

	for (unsigned int at = 0; at < 4096; at += 4) {
		hits = 0;
		for (u64 gva = 0; gva < 1ull << 32; gva += 1 << 30) {
			role = role_root(&m, gva);
			if (!role_touched(role, at, 4, &first, &last))
				continue;
			hits++;
			EXPECT_EQ(last, first + 1);
			EXPECT_EQ(role_offset(role, first), at);
			EXPECT_EQ(role_offset(role, last), at);
		}
		EXPECT_EQ(hits, 1);
		top = role_root(&m, 0);
		for (u64 gva = 0, hits = 0; gva < 1 << 22; gva += 1 << 21) {
			role = role_child(top, SHADOW_ALL, gva);
			if (!role_touched(role, at, 4, &first, &last))
				continue;
			EXPECT(!hits++);
			EXPECT_EQ(last, first);
			EXPECT_EQ(role_offset(role, first), at);
		}
	}
	/* The second entry for a page of 4 MiB maps its second half. */
	role = role_root(&m, 0);
	EXPECT(shadow_current(role, 0x4000e7, 0, 0x400, SHADOW_ALL));
	EXPECT(shadow_current(role, 0x4000e7, 1, 0x600, SHADOW_ALL));
	EXPECT(!shadow_current(role, 0x4000e7, 1, 0x400, SHADOW_ALL));
}

static int touch(struct cpu *cpu, u64 gva)
{
	struct okvm_page_fault pf = { .gva = gva, .acc = 0 };

	return shadow_page_fault(&cpu->vcpu, &pf);
}

/*
 * CVE-2026-46113: the host rewrites an upper entry of the guest's, unseen. What is mapped then is
 * in the child of the frame that the walk has found.
 */
TEST(the_host_rewrites_an_upper_entry)
{
	struct cpu *cpu = &cpus[0];
	struct shadow_table *t;

	start(1);
	meanwhile = NULL;
	memset(mem, 0, sizeof(mem));
	cpu->mmu.mode = (struct walk_mode){ .levels = 4, .maxphyaddr = 40, .wp = true, .nx = true };
	cpu->cr3 = 0;
	mem[0][0] = 0x1067;
	mem[1][0] = 0x2067;
	mem[2][0] = 0x3067;
	mem[3][0] = 0x20067;
	mem[4][0] = 0x21067;
	load(cpu);
	EXPECT_EQ(touch(cpu, 0), OKVM_FAULT_FIXED);
	mem[2][0] = 0x4067;
	EXPECT_EQ(touch(cpu, 0), OKVM_FAULT_FIXED);
	for (t = shadow_top(&cpu->vcpu, 0); role_level(t->role) > 1; )
		t = table_below(t->entry[0]);
	EXPECT_EQ(t->gfn, 4);
	EXPECT_EQ(what_gfn(t->what[0]), 0x21);
	check_structure();
	EXPECT_EQ(violations, 0);
	end();
}

/* CPU 0 in long mode, a guest's page of 2 MiB at address 0 that the host has in pieces. */
static struct cpu *start_large(u64 flags, bool wp)
{
	struct cpu *cpu = &cpus[0];

	start(1);
	meanwhile = NULL;
	invalidating = NULL;
	memset(mem, 0, sizeof(mem));
	memset(host.huge, 0, sizeof(host.huge));
	cpu->mmu.mode = (struct walk_mode){ .levels = 4, .maxphyaddr = 40, .wp = wp, .nx = true };
	cpu->cr3 = 0;
	mem[0][0] = 0x1067;
	mem[1][0] = 0x2067;
	mem[2][0] = 512 << 12 | flags;
	load(cpu);
	flushed(cpu);
	return cpu;
}

#include "shadow_walks.h"

TEST(one_invlpg_for_a_large_page)
{
	struct cpu *cpu = start_large(0xe7, true);
	u64 *leaf, gfn;

	for (unsigned int id = 0; id < 2; id++) {
		EXPECT_EQ(touch(cpu, gva_of(cpu, id)), OKVM_FAULT_FIXED);
		leaf = hw_walk(cpu, gva_of(cpu, id), KERNEL_READ, &gfn);
		EXPECT(leaf);
		if (leaf)
			tlb_fill(cpu, id, *leaf, gfn);
	}
	guest_write(2 << 12, 8, 1024 << 12 | 0xe7);
	/* What the only vCPU changes is its own to flush. */
	vm.created_vcpus = 1;
	shadow_wrote(&cpu->vcpu, 2 << 12, 8);
	vm.created_vcpus = CPUS;
	check_all();
	mmu_policy_shadow.invalidate(&cpu->vcpu, OKVM_INVLPG, 0, 0);
	flushed(cpu);
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

TEST(pages_behind_one_entry_are_accessed_together)
{
	static const int kinds[] = { KERNEL_WRITE, KERNEL_READ, KERNEL_FETCH };
	struct cpu *cpu = start_large(0xe1, false);
	/* So far apart that none is mapped as the neighbour of another. */
	const u64 gva[] = { 0, 8 << 12, 16 << 12 };

	together(cpu, gva, kinds, 3);
	EXPECT_EQ(violations, 0);
	end();
}

/*
 * User mode writes to two page tables with one instruction, and each of the two is needed to reach
 * the other: the instruction is emulated in the end.
 */
TEST(one_instruction_writes_to_two_tables)
{
	static const int kinds[] = { USER_WRITE, USER_WRITE };
	struct cpu *cpu = start_large(0xe7, true);
	const u64 gva[] = { 0, 1 << 30 };

	mem[1][0] = 0x2067;
	mem[1][1] = 0x3067;
	mem[2][0] = 0x4067;
	mem[4][0] = 0x3067;
	mem[3][0] = 0x5067;
	mem[5][0] = 0x2067;
	together(cpu, gva, kinds, 2);
	check_structure();
	EXPECT_EQ(violations, 0);
	end();
}

/* CVE-2022-1789: there is nothing that a guest can ask for and nobody does. */
TEST(each_invalidation_in_each_mode)
{
	static const u8 levels[] = { 0, 2, 3, 4, 5 };
	const void * const *call = (const void * const *)&mmu_policy_shadow;
	struct cpu *cpu = start_large(0xe7, true);

	for (unsigned int i = 0; i < sizeof(mmu_policy_shadow) / sizeof(*call); i++)
		EXPECT(call[i]);
	for (unsigned int m = 0; m < 5; m++) {
		cpu->mmu.mode.levels = levels[m];
		load(cpu);
		for (int what = OKVM_INVPCID_ADDRESS; what <= OKVM_INVLPG; what++)
			mmu_policy_shadow.invalidate(&cpu->vcpu, what, what, 0x1000);
		EXPECT(mmu_policy_shadow.invlpg_fast(&cpu->vcpu, 0x1000));
		check_all();
	}
	EXPECT_EQ(violations, 0);
	end();
}

/* The guest flushes by loading the CR3 that it has: what it wrote to a table out of sync counts. */
TEST(a_known_cr3_compares_what_is_out_of_sync)
{
	struct okvm_page_fault pf = { .gva = 0x1000, .acc = WALK_WRITE };
	struct cpu *cpu = start_large(0xe7, true);
	u64 gfn = 0;

	mem[2][0] = 0x3067;
	mem[3][0] = 0x20067;
	mem[3][1] = 0x3067;
	EXPECT_EQ(touch(cpu, 0), OKVM_FAULT_FIXED);
	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &pf), OKVM_FAULT_FIXED);
	EXPECT_EQ(mmu.shadow->nr_unsync, 1);
	mem[3][0] = 0x21067;
	if (!shadow_cr3_fast(&cpu->vcpu))
		load(cpu);
	EXPECT(!hw_walk(cpu, 0, KERNEL_READ, &gfn) || gfn == 0x21);
	EXPECT_EQ(violations, 0);
	end();
}

/* Out of sync, for a frame that is writable behind @gva. */
static bool write_behind(struct cpu *cpu, u64 gva)
{
	struct okvm_page_fault pf = { .gva = gva, .acc = WALK_WRITE };
	unsigned int tries;
	u64 gfn;

	for (tries = 0; tries < 4 && !hw_walk(cpu, gva, KERNEL_WRITE, &gfn); tries++) {
		if (shadow_page_fault(&cpu->vcpu, &pf) != OKVM_FAULT_FIXED)
			return false;
	}
	return tries < 4;
}

/*
 * A process ends: its page tables are written to, then the entries that lead to them. At no time is
 * a write to a page table refused, and nothing of it is left when the guest has flushed.
 */
TEST(page_tables_of_a_process_that_is_gone)
{
	struct cpu *cpu = start_large(0xe7, true);
	const unsigned int n = 2 * SHADOW_UNSYNC;

	static_assert(2 * SHADOW_UNSYNC < 400, "room in tables and in memory");
	mem[2][0] = 0x3067;
	for (unsigned int k = 0; k < n; k++) {
		mem[3][k] = (100ull + k) << 12 | 0x67;
		mem[2][1 + k] = (100ull + k) << 12 | 0x67;
		mem[100 + k][0] = (200ull + k) << 12 | 0x67;
		EXPECT_EQ(touch(cpu, (1ull + k) << 21), OKVM_FAULT_FIXED);
	}
	for (unsigned int k = 0; k < n; k++) {
		EXPECT(write_behind(cpu, (u64)k << 12));
		EXPECT(mmu.shadow->nr_unsync <= SHADOW_UNSYNC);
		guest_write((100ull + k) << 12, 8, 0);
	}
	for (unsigned int k = 0; k < n; k++) {
		guest_write(2 << 12 | (1 + k) * 8, 8, 0);
		shadow_wrote(&cpu->vcpu, 2 << 12 | (1 + k) * 8, 8);
		/* The table above stays in use. */
		EXPECT_EQ(touch(cpu, 0), OKVM_FAULT_FIXED);
	}
	load(cpu);
	EXPECT_EQ(mmu.shadow->nr_unsync, 0);
	EXPECT(shadow_cr3_fast(&cpu->vcpu));
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

TEST(a_write_that_another_cpu_sees_before_the_shadow)
{
	struct cpu *cpu = start_large(0xe7, true), *other = &cpus[1];

	other->mmu.mode = cpu->mmu.mode;
	other->cr3 = cpu->cr3;
	load(other);
	flushed(other);
	EXPECT_EQ(touch(other, 0), OKVM_FAULT_FIXED);
	guest_write(2 << 12, 8, 1024 << 12 | 0xe7);
	mmu_policy_shadow.invalidate(&other->vcpu, OKVM_INVLPG, 0, 0);
	flushed(other);
	look(other, 0);
	EXPECT_EQ(other->nr_tlb[0], 1);
	shadow_wrote(&cpu->vcpu, 2 << 12, 8);
	check_all();
	EXPECT_EQ(violations, 0);
	end();
}

static unsigned int breaks;

static void count_break(void)
{
	breaks++;
}

/* Dirty logging of many frames lets others have the lock in between. */
TEST(a_log_begins_piece_by_piece)
{
	struct cpu *cpu = start_large(0xe7, true);

	for (unsigned int i = 0; i < SLOTS; i++) {
		mem[2][i] = (u64)i << 21 | 0xe7;
		EXPECT_EQ(touch(cpu, ((u64)i << 21) + 0x20000), OKVM_FAULT_FIXED);
	}
	between = count_break;
	breaks = 0;
	resched = true;
	shadow_write_protect(&mmu, 0, FRAMES);
	/* After each block, and after each frame that is mapped. */
	EXPECT(breaks >= 2 * SLOTS);
	EXPECT(!mmu.lock.writer);
	between = NULL;
	okvm_mmu_flush_vm(&vm);
	check_structure();
	EXPECT_EQ(violations, 0);
	end();
}

#include "shadow_races.h"
#include "shadow_flushes.h"
#include "shadow_links.h"

/*
 * One frame is a page table of a 32-bit CPU and of a 64-bit one. The accessed bit that the first
 * sets in an entry with an odd number is a bit of an address to the other.
 */
TEST(an_accessed_bit_in_a_table_of_two_formats)
{
	struct okvm_page_fault pf = { };
	struct cpu *cpu = start_large(0xe7, true), *other = &cpus[1];

	cpu->mmu.mode.maxphyaddr = 52;
	cpu->cr3 = 8 << 12;
	mem[8][0] = 0x9067;
	mem[9][0] = 0xa067;
	mem[10][0] = 0x3067;
	mem[3][0] = 0x1000100000063;
	mem[0][0] = 0x3067;
	other->mmu.mode = (struct walk_mode){ .levels = 2, .maxphyaddr = 40, .wp = true };
	other->cr3 = 0;
	load(cpu);
	load(other);
	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &pf), OKVM_FAULT_MMIO);
	EXPECT_EQ(pf.gpa, 0x1000100000000);
	/* Not without the lock that the way with IRQs off does not wait for. */
	pf.gva = 0x1000;
	for (unsigned int tries = 0; tries < 20; tries++)
		EXPECT_EQ(shadow_page_fault_fast(&other->vcpu, &pf), OKVM_FAULT_SLOW);
	pf.gva = 0;
	EXPECT_EQ(mem[3][0], 0x1000100000063);
	EXPECT_EQ(touch(other, 0x1000), OKVM_FAULT_FIXED);
	EXPECT_EQ(mem[3][0], 0x1002100000063);
	load(cpu);
	EXPECT_EQ(shadow_page_fault(&cpu->vcpu, &pf), OKVM_FAULT_MMIO);
	EXPECT_EQ(pf.gpa, 0x1002100000000);
	EXPECT_EQ(violations, 0);
	end();
}

#define STEPS_PER_MODEL	2000

TEST(random_guests)
{
	const char *want = getenv("SHADOW_STEPS"), *from = getenv("SHADOW_SEED");
	unsigned long steps = want ? strtoul(want, NULL, 0) :
			      getenv("OKVM_LONG") ? 100000000 : 1000000;
	u64 seed = from ? strtoull(from, NULL, 0) : 1;

	step = 0;
	while (step < steps && !host_failures)
		run(seed++, STEPS_PER_MODEL);
	printf("# %lu operations, %lu checks, %lu leaves at most, %lu faults resolved\n", step,
	       checked, most_live, faults_seen);
}
