using System.CommandLine;
using System.Globalization;
using Glm.Inference;
using Glm.Models;
using Glm.Tensors;

namespace Glm.Cli.Commands;

/// <summary><c>glm logits</c>: what a model makes of token ids, number for number, for comparison with other engines.</summary>
internal static class LogitsCommand
{
    private const int Shown = 8;

    public static Command Create(Terminal terminal)
    {
        var model = Options.Model();
        var ids = new Option<string>("--ids") { HelpName = "1,2,3", Description = "Token ids of the context", Required = true };
        var positions = new Option<string?>("--positions")
        {
            HelpName = "0,1,…[;0,0,…]",
            Description = "Position ids; after a semicolon those inside the blank, of models that have them (default: counted, with a blank before the division)",
        };
        var division = new Option<int?>("--division") { HelpName = "N", Description = "Tokens that are seen in both directions (default: all but the last, which is then sop)" };
        var all = new Option<bool>("--all") { Description = "Logits after every token, not after the last one alone" };
        var activations = Options.Activations();
        var adapter = Options.Adapter();
        var memory = Options.Memory();
        var threads = Options.Threads();
        var json = Options.Json();
        return new ExampleCommand("logits", "Raw logits of token ids, for comparison with other engines",
            "glm logits --model chatglm3-6b --ids 64790,64792,30910 --json", "glm logits --ids 5,77,9 --division 2 --positions \"0,1,2\" --all --json")
        {
            model, ids, positions, division, all, activations, adapter, memory, threads, json,
        }.InRanks().Does((parse, cancellation) =>
        {
            int[] tokens = Integers("--ids", parse.GetValue(ids)!);
            int[][]? places = parse.GetValue(positions)?.Split(';').Select(axis => Integers("--positions", axis)).ToArray();
            using var workers = new Workers(parse.GetValue(threads));
            using var limited = Opening.Model(terminal, ModelLocation.OrShipped(parse.GetValue(model)), workers, parse.GetValue(memory), tokens.Length, DType.Float32, quiet: true, parse.GetValue(adapter), cancellation);
            var loaded = limited.Model;
            loaded.InputBits = Options.InputBits(parse.GetValue(activations));
            float[][] logits = Compute(loaded, workers, tokens, places, parse.GetValue(division), parse.GetValue(all), cancellation);
            if (parse.GetValue(json)) terminal.WriteJson(new LogitsReport(tokens, logits));
            else Print(terminal, tokens.Length - logits.Length, logits);
        });
    }

    private static float[][] Compute(LanguageModel model, Workers workers, int[] ids, int[][]? positions, int? division, bool all, CancellationToken cancellation)
    {
        if (model.IsCausal && division is not null) throw new GlmException($"--division: expected none, since the model is causal, found {division}");
        int context = division ?? (model.IsCausal ? 0 : ids.Length - 1);
        if (context < 0 || context > ids.Length) throw new GlmException($"--division: expected 0 to {ids.Length}, the number of ids, found {context}");
        if (positions is null)
        {
            var place = new BlankPlace(context, Math.Max(0, context - 1), RunsOn: true);
            var counted = ids.Select((_, i) => model.PositionOf(i, place)).ToArray();
            positions = [[.. counted.Select(p => p.Token)], [.. counted.Select(p => p.Block)]];
        }
        else Check(model, ids.Length, positions);
        var session = new Session(model, workers);
        var input = new SessionInput(session.Cache.Add(), ids, positions[0], context, model.PositionAxes == 2 ? positions[1] : default);
        int vocabulary = model.VocabSize;
        var logits = session.Run([input], all, cancellation);
        float[][] rows = new float[logits.Length / vocabulary][];
        for (int i = 0; i < rows.Length; i++) rows[i] = logits.Slice(i * vocabulary, vocabulary).ToArray();
        return rows;
    }

    private static void Check(LanguageModel model, int count, int[][] positions)
    {
        if (model.Config.Shape.Positions == PositionKind.Alibi) throw new GlmException("--positions: expected none, since the model knows distances alone, found some");
        if (positions.Length != model.PositionAxes)
            throw new GlmException($"--positions: expected {(model.PositionAxes == 2 ? "two lists with a semicolon between them" : "one list")}, found {positions.Length}");
        if (Array.Find(positions, axis => axis.Length != count) is { } other) throw new GlmException($"--positions: expected {count}, as many as ids, found {other.Length}");
    }

    private static int[] Integers(string option, string list) => [.. list.Split(',').Select(word =>
        int.TryParse(word, NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out int value)
            ? value : throw new UsageException($"{option}: expected numbers with commas between them, found {(word.Length == 0 ? "nothing" : word)}"))];

    private static void Print(Terminal terminal, int first, float[][] logits)
    {
        for (int row = 0; row < logits.Length; row++)
        {
            var best = logits[row].Select((value, id) => (Value: value, Id: id)).OrderByDescending(entry => entry.Value).Take(Shown);
            terminal.Out.WriteLine($"after {first + row,5}:  {string.Join("  ", best.Select(entry => $"{entry.Id}: {entry.Value:F4}"))}");
        }
    }

    /// <summary>What <c>--json</c> prints.</summary>
    private sealed record LogitsReport(int[] Ids, float[][] Logits);
}
