// Encoding speed on one thread beside spm_encode on the same lines, in the same run.
//
//   dotnet run -c Release --project bench/Glm.Tokenizers.Bench TEXT MODEL...
//
// TEXT is a file of lines. Both sides read it, encode every line and write the ids as text to nowhere. The time that spm_encode
// takes for an empty input (its start and the loading of the model) is subtracted; so is ours, which happens before the clock
// starts. Each figure is the best of several runs, the two sides taking turns.
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Glm.Tokenizers;

const int Rounds = 5;
if (args.Length < 2)
{
    Console.Error.WriteLine("usage: Glm.Tokenizers.Bench TEXT MODEL...");
    return 2;
}
string text = args[0];
double megabytes = new FileInfo(text).Length / 1e6;
Console.WriteLine($"{text}: {megabytes:f1} MB");
foreach (string path in args[1..])
{
    SentencePieceTokenizer tokenizer = SentencePieceTokenizer.Load(path);
    double ours = double.MaxValue, theirs = double.MaxValue, empty = double.MaxValue;
    for (int round = 0; round < Rounds; round++)
    {
        ours = Math.Min(ours, Seconds(() => EncodeLines(tokenizer, text)));
        theirs = Math.Min(theirs, Seconds(() => SpmEncode(path, text)));
        empty = Math.Min(empty, Seconds(() => SpmEncode(path, "/dev/null")));
    }
    theirs -= empty;
    Console.WriteLine(FormattableString.Invariant(
        $"{path}: ours {megabytes / ours:f1} MB/s, spm_encode {megabytes / theirs:f1} MB/s (start {empty:f2} s subtracted), ratio {theirs / ours:f2}"));
}
return 0;

static double Seconds(Action action)
{
    long start = Stopwatch.GetTimestamp();
    action();
    return Stopwatch.GetElapsedTime(start).TotalSeconds;
}

static void EncodeLines(SentencePieceTokenizer tokenizer, string path)
{
    using var reader = new StreamReader(path, Encoding.UTF8);
    using var writer = new StreamWriter(Stream.Null, Encoding.ASCII, 1 << 16);
    var ids = new List<int>();
    Span<char> digits = stackalloc char[12];
    while (reader.ReadLine() is { } line)
    {
        ids.Clear();
        tokenizer.Encode(line, ids);
        foreach (int id in ids)
        {
            id.TryFormat(digits, out int length, default, CultureInfo.InvariantCulture);
            writer.Write(digits[..length]);
            writer.Write(' ');
        }
        writer.Write('\n');
    }
}

static void SpmEncode(string model, string path)
{
    using Process process = Process.Start("spm_encode", [$"--model={model}", "--output_format=id", $"--input={path}", "--output=/dev/null"]);
    process.WaitForExit();
    if (process.ExitCode != 0) throw new InvalidOperationException($"spm_encode ended with {process.ExitCode}");
}
