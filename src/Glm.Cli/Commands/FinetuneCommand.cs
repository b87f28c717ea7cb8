using System.CommandLine;
using System.Globalization;
using Glm.Models;
using Glm.Tokenizers;
using Glm.Training;

namespace Glm.Cli.Commands;

/// <summary><c>glm finetune</c>: teaches a model to answer prompts, by all of its weights or by an adapter.</summary>
internal static class FinetuneCommand
{
    private const string Full = "full", Lora = "lora", Prefix = "prefix";

    private static Dictionary<string, double> Rates { get; } = new() { [Full] = 5e-5, [Lora] = 1e-3, [Prefix] = 5e-2 };

    public static Command Create(Terminal terminal)
    {
        var model = Options.Model();
        var data = new Option<string[]>("--data") { HelpName = "FILE", Description = "Prompts with answers (.jsonl; plain, .gz, .xz, .zst)", Required = true, AllowMultipleArgumentsPerToken = true };
        var heldOut = new Option<string[]>("--validation") { HelpName = "FILE", Description = "Prompts of the held-out loss, in the same form", AllowMultipleArgumentsPerToken = true };
        var prompt = new Option<string>("--prompt") { HelpName = "TEMPLATE", Description = "The prompt of a line; {name} stands for a field", DefaultValueFactory = _ => "{input}" };
        var answer = new Option<string>("--answer") { HelpName = "TEMPLATE", Description = "Its answer", DefaultValueFactory = _ => "{target}" };
        var output = new Option<string>("--output") { HelpName = "FOLDER", Description = "Where the log and the adapter (or the model) go", Required = true };
        var method = new Option<string>("--method") { HelpName = $"{Lora}|{Prefix}|{Full}", Description = "What is trained: low-rank additions, virtual tokens (P-Tuning v2), or all weights", DefaultValueFactory = _ => Lora }
            .AcceptOnlyFromAmong(Lora, Prefix, Full);
        var rank = Options.Number("--rank", "N", "Rank of the additions of lora", 8, 1, 4096);
        var virtualTokens = Options.Number("--virtual-tokens", "N", "Virtual tokens of prefix", 64, 1, 4096);
        var rate = new Option<double?>("--lr") { HelpName = "RATE", Description = $"Peak learning rate (default: {string.Join(", ", Rates.Select(entry => FormattableString.Invariant($"{entry.Key} {entry.Value}")))})" };
        var epochs = Options.Number("--epochs", "N", "How often every prompt is seen", 1, 1, 1_000_000);
        var batch = Options.Number("--batch", "N", "Prompts of a step", 8, 1, 1 << 20);
        var micro = Options.Number("--micro-batch", "N", "Prompts that run through the model together", 4, 1, 1 << 20);
        var longest = Options.Number("--max-length", "N", "Longest prompt with its answer, in tokens; longer ones are left out", 512, 4, 1 << 20);
        var recompute = new Option<bool>("--recompute") { Description = "Compute layers again on the way back: much less memory, a third more time" };
        var seed = Options.Seed();
        var threads = Options.Threads();
        var json = Options.Json();
        var quiet = Options.Quiet();
        return new ExampleCommand("finetune", "Teach a model to answer prompts: an adapter beside it, quantised or not, or all of its weights",
            "glm finetune --data prompts.jsonl --output runs/tuned", "glm generate --adapter runs/tuned/adapter \"a prompt [gMASK]\"",
            "glm finetune --model chatglm3-6b-int4 --method prefix --data prompts.jsonl --prompt \"{question}\" --answer \"{reply}\" --output runs/tuned")
        {
            model, data, heldOut, prompt, answer, output, method, rank, virtualTokens, rate, epochs, batch, micro, longest, recompute, seed, threads, json, quiet,
        }.Does((parse, cancellation) =>
        {
            string folder = parse.GetRequiredValue(output), way = parse.GetRequiredValue(method), result = Path.Combine(folder, way == Full ? "model" : "adapter");
            Adapter.RequireFree(result);
            if (parse.GetValue(rate) is { } given && !(given > 0 && double.IsFinite(given))) throw new UsageException($"--lr: expected a number above 0, found {given.ToString(CultureInfo.InvariantCulture)}");
            using var loaded = Opening.Load(terminal, parse.GetValue(model), parse.GetValue(threads), quiet: parse.GetValue(quiet), cancellation: cancellation);
            var template = new PromptTemplate(parse.GetRequiredValue(prompt), parse.GetRequiredValue(answer));
            template.Validate("--prompt, --answer");
            var layout = new PromptLayout(loaded.Tokenizer, loaded.Model);
            int room = Math.Min(parse.GetValue(longest), loaded.Model.MaxSequenceLength);
            var prompts = Read(terminal, parse.GetRequiredValue(data), template, layout, room);
            var validation = parse.GetValue(heldOut) is { Length: > 0 } files ? Read(terminal, files, template, layout, room) : [];
            Tuning tuning = way switch
            {
                Full => new FullTuning(loaded.Model),
                Lora => new LoraTuning(loaded.Model, parse.GetValue(rank), parse.GetValue(seed)),
                _ => new PrefixTuning(loaded.Model, Text(prompts, parse.GetValue(virtualTokens)), loaded.Workers),
            };
            var tuner = new FineTuner(tuning, prompts, validation, new FineTuneOptions
            {
                Rate = parse.GetValue(rate) ?? Rates[way],
                Epochs = parse.GetValue(epochs),
                Batch = parse.GetValue(batch),
                MicroBatch = parse.GetValue(micro),
                Recompute = parse.GetValue(recompute),
                Seed = parse.GetValue(seed),
            }, loaded.Workers);
            var last = Train(terminal, tuner, folder, parse.GetValue(quiet), cancellation);
            if (last is null) cancellation.ThrowIfCancellationRequested();
            tuning.Save(result, Directory.Exists(loaded.Path) ? Tokenizer.FindIn(loaded.Path) : null);
            long trained = tuning.Weights.Masters.Values.Sum(weight => weight.Count);
            if (parse.GetValue(json)) terminal.WriteJson(new { Path = result, Method = way, Prompts = prompts.Count, Steps = last!.Step, last.Loss, Validation = last.Validation?[0], Trained = trained });
            else
                terminal.Out.WriteLine(FormattableString.Invariant(
                    $"{result}: {last!.Step:N0} steps over {prompts.Count:N0} prompts, {trained:N0} numbers trained, loss {last.Loss:F4}{(last.Validation is { } losses ? $", held out {losses[0]:F4}" : "")}"));
            if (!tuner.Finished) cancellation.ThrowIfCancellationRequested();
        });
    }

    /// <summary>Trains to the end, or until cancelled: what was learned until then is saved.</summary>
    private static StepLog? Train(Terminal terminal, FineTuner tuner, string folder, bool quiet, CancellationToken cancellation)
    {
        var log = new RunLog(Path.Combine(folder, RunLog.FileName), keepSteps: 0);
        using var board = new TensorBoardLog(Path.Combine(folder, "tensorboard"), 0);
        using var line = new ProgressLine(terminal, quiet);
        StepLog? last = null;
        while (!tuner.Finished && !cancellation.IsCancellationRequested)
        {
            last = tuner.Step();
            log.Append(last);
            board.Append(last);
            line.Show(FormattableString.Invariant($"step {last.Step} of {tuner.Steps}: loss {last.Loss:F4}, gradient norm {last.GradientNorm:F3}, {last.TokensPerSecond:N0} tok/s"));
        }
        return last;
    }

    private static List<TunedPrompt> Read(Terminal terminal, string[] files, PromptTemplate template, PromptLayout layout, int longest)
    {
        var prompts = new List<TunedPrompt>();
        int faulty = 0, tooLong = 0;
        string? first = null;
        var set = new PromptSet { Name = "data", Files = files, Templates = [template], Cap = int.MaxValue };
        foreach (var text in PromptReader.Read(set, Environment.CurrentDirectory))
        {
            if (text.Fault is not null)
            {
                faulty++;
                first ??= $"{text.File}, line {text.Line}: {text.Fault}";
                continue;
            }
            var prompt = layout.Build(text.Input, text.Target);
            if (prompt.Ids.Length <= longest) prompts.Add(prompt);
            else tooLong++;
        }
        if (faulty > 0) terminal.Error.WriteLine($"glm: {faulty:N0} lines gave no prompt; the first is {first}");
        if (tooLong > 0) terminal.Error.WriteLine($"glm: {tooLong:N0} prompts are longer than {longest} tokens and left out");
        return prompts.Count > 0 ? prompts : throw new GlmException($"{files[0]}: expected prompts of at most {longest} tokens, found none{(first is null ? "" : $" ({first})")}");
    }

    /// <summary>So many ids of real text: those of the prompts, one after the other, over and over.</summary>
    private static int[] Text(List<TunedPrompt> prompts, int count)
    {
        int[] text = [.. prompts.SelectMany(prompt => prompt.Ids).Take(count)];
        return [.. Enumerable.Range(0, count).Select(i => text[i % text.Length])];
    }
}
