// Holds the kernels of Glm.Tensors against what the machine can do, measured in the same run.
//   dotnet run -c Release --project bench/Glm.Tensors.Bench [--threads N] [--seconds S] [--dense | --packed | --attention] [--json]

using System.Globalization;
using System.Text.Json;
using Glm.Bench;
using Glm.Tensors;

int threads = int.Parse(Option("--threads") ?? Environment.ProcessorCount.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
double seconds = double.Parse(Option("--seconds") ?? "0.5", CultureInfo.InvariantCulture);
bool json = args.Contains("--json");
InstructionSet isa = Isa.Current;

using var workers = new Workers(threads);
using var measure = new Measure(workers, isa, seconds);
double peak = Machine.FmaPeak(workers), read = Machine.ReadBandwidth(workers);
double bfloat16Peak = Isa.HasBFloat16 ? Machine.ProductPeak(workers, Arithmetic.BFloat16) : 0;
var products = new List<(string Name, Arithmetic Arithmetic, int Threads, double Rate)>();
var streaming = new List<(string Name, double Rate)>();

bool all = !args.Any(arg => arg is "--dense" or "--packed" or "--attention");
var attention = new List<(string Name, double Operations, double Bandwidth)>();
if (all || args.Contains("--attention"))
    foreach (DType type in new[] { DType.BFloat16, DType.Int8, DType.Float32 })
        foreach ((int tokens, int past) in new[] { (1, 80), (1, 512), (1, 4096), (1, 32000), (4, 4096), (512, 0), (512, 4096) })
        {
            (double operations, double bandwidth) = measure.Attention(type, tokens, past);
            attention.Add(($"attention of {tokens} to {past} + {tokens}, {type}", operations, bandwidth));
        }
if (all || args.Contains("--dense"))
{
    Dense(Arithmetic.Float32);
    if (Isa.HasBFloat16) Dense(Arithmetic.BFloat16);
    FewRows();
}
var packed = new List<(string Name, double Bandwidth, double Operations)>();
foreach (DType type in !all && !args.Contains("--packed") ? [] : new[] { DType.Q4_0, DType.Q8_0, DType.Int4, DType.Int8 })
    foreach (int bits in new[] { 8, 16 })
        foreach (int rows in new[] { 1, 4, 16, 512 })
        {
            (double time, double bytes) = measure.Packed(type, rows, 4096, 4096, bits);
            packed.Add(($"packed {rows} x 4096 x 4096 {type}, inputs of {bits} bits", bytes / time / 1e9, 2.0 * rows * 4096 * 4096 / time / 1e9));
        }
double integerPeak = Machine.PanelPeak(workers);

// Crowded machines change while we measure; what was seen best is the ceiling.
peak = Math.Max(peak, Machine.FmaPeak(workers));
if (Isa.HasBFloat16) bfloat16Peak = Math.Max(bfloat16Peak, Machine.ProductPeak(workers, Arithmetic.BFloat16));
read = Math.Max(read, Machine.ReadBandwidth(workers));
if (json) PrintJson();
else PrintTable();
return 0;

void Dense(Arithmetic arithmetic)
{
    foreach (int size in new[] { 1024, 2048 })
        foreach (string layout in new[] { "NN", "NT", "TN", "TT" }) Add($"{size}x{size}x{size} {layout}", threads, measure.Product(size, size, size, layout, arithmetic));
    foreach (int tokens in new[] { 1024, 4096 })
        foreach ((int outputs, int inputs) in new[] { (768, 256), (256, 256), (1366, 256), (256, 683), (16384, 256) })
        {
            Add($"forward {tokens}x{outputs}x{inputs} NT", threads, measure.Product(tokens, outputs, inputs, "NT", arithmetic));
            Add($"to input {tokens}x{inputs}x{outputs} NN", threads, measure.Product(tokens, inputs, outputs, "NN", arithmetic));
            Add($"to weight {outputs}x{inputs}x{tokens} TN", threads, measure.Product(outputs, inputs, tokens, "TN", arithmetic));
        }
    foreach (int length in new[] { 64, 128, 256, 512 })
    {
        Add($"one thread {length}x{length}x64 NT", 1, measure.Single(length, length, 64, "NT", arithmetic));
        Add($"one thread {length}x64x{length} NN", 1, measure.Single(length, 64, length, "NN", arithmetic));
        Add($"one thread {length}x64x{length} TN", 1, measure.Single(length, 64, length, "TN", arithmetic));
    }

    void Add(string name, int threadsUsed, double rate) => products.Add((name, arithmetic, threadsUsed, rate));
}

void FewRows()
{
    foreach (DType type in new[] { DType.Float32, DType.BFloat16, DType.Float16, DType.Int8, DType.Int4 })
        foreach (int rows in new[] { 1, 4, 8 })
            streaming.Add(($"{rows} x 4096 x 4096 {type}", measure.FewRows(type, rows, 4096, 4096)));
}

double Share((string Name, Arithmetic Arithmetic, int Threads, double Rate) entry) =>
    entry.Rate / ((entry.Arithmetic == Arithmetic.BFloat16 ? bfloat16Peak : peak) * entry.Threads / threads);

void PrintTable()
{
    Console.WriteLine($"{Isa.Name(isa)}, {threads} threads: {peak:F1} GFLOP/s of FMA, {bfloat16Peak:F1} of bfloat16, {read:F1} GB/s of reading");
    foreach (var entry in products) Console.WriteLine($"{entry.Arithmetic,-9} {entry.Name,-36} {entry.Rate,8:F1} GFLOP/s {Share(entry),6:P0}");
    foreach ((string name, double rate) in streaming) Console.WriteLine($"{name,-36} {rate,8:F1} GB/s    {rate / read,6:P0}");
    foreach ((string name, double operations, double bandwidth) in attention)
        Console.WriteLine($"{name,-50} {bandwidth,8:F1} GB/s {bandwidth / read,6:P0} {operations,8:F1} GFLOP/s {operations / peak,6:P0}");
    Console.WriteLine($"{Isa.CurrentName}: {integerPeak:F1} Gop/s");
    foreach ((string name, double bandwidth, double operations) in packed)
        Console.WriteLine($"{name,-50} {bandwidth,8:F1} GB/s {bandwidth / read,6:P0} {operations,8:F1} Gop/s {operations / integerPeak,6:P0}");
}

void PrintJson() => Console.WriteLine(JsonSerializer.Serialize(new
{
    isa = Isa.Name(isa),
    threads,
    fma_gflop_s = peak,
    bfloat16_gflop_s = bfloat16Peak,
    read_gb_s = read,
    products = products.Select(entry => new { name = entry.Name, arithmetic = entry.Arithmetic.ToString(), threads = entry.Threads, gflop_s = entry.Rate, share = Share(entry) }),
    attention = attention.Select(entry => new { name = entry.Name, gb_s = entry.Bandwidth, bandwidth_share = entry.Bandwidth / read, gflop_s = entry.Operations, share = entry.Operations / peak }),
    integer_gop_s = integerPeak,
    packed = packed.Select(entry => new { name = entry.Name, gb_s = entry.Bandwidth, bandwidth_share = entry.Bandwidth / read, gop_s = entry.Operations, share = entry.Operations / integerPeak }),
    few_rows = streaming.Select(entry => new { name = entry.Name, gb_s = entry.Rate, share = entry.Rate / read }),
}));

string? Option(string name) => Array.IndexOf(args, name) is >= 0 and int at && at + 1 < args.Length ? args[at + 1] : null;
