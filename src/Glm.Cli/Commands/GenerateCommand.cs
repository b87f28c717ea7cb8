using System.CommandLine;
using Glm.Tokenizers;

namespace Glm.Cli.Commands;

/// <summary><c>glm generate</c>: fills every [MASK] of a text, or continues it; one text, a file of them, or a conversation with a person.</summary>
internal static class GenerateCommand
{
    public static Command Create(Terminal terminal)
    {
        var text = Options.Text("Text with [MASK] (short) or [gMASK] (the rest) as blanks, or to be continued, as causal models always do; - reads it from standard input; none asks for texts");
        var model = Options.Model();
        var input = new Option<string>("--input") { HelpName = "FILE", Description = "Answer every line of a file; newlines in the answers are written as \\n" };
        var withId = new Option<bool>("--with-id") { Description = "The lines are ID<tab>TEXT, and so are the answers" };
        var sampling = new SamplingOptionSet();
        var newlines = Options.Newlines();
        var kvCache = Options.KvCache();
        var adapter = Options.Adapter();
        var memory = Options.Memory();
        var threads = Options.Threads();
        var json = Options.Json();
        json.Description += "; a continuation is its one blank";
        var quiet = Options.Quiet();
        var command = new ExampleCommand("generate", "Fill the blanks of a text, or continue it",
            "glm generate \"The capital of France is [MASK].\"", "glm generate --strategy greedy --max-new-tokens 32 \"Once upon a time\"",
            "glm generate --model chatglm3-6b-q4_0.gguf --max-new-tokens 64 \"The sea at night\"",
            "glm generate --input questions.txt --with-id > answers.txt", "glm generate")
        {
            text, model, input, withId, newlines, adapter, kvCache, memory, threads, json, quiet,
        };
        sampling.AddTo(command);
        return command.InRanks().Does((parse, cancellation) =>
        {
            string? file = parse.GetValue(input);
            bool asJson = parse.GetValue(json);
            if (file is null && parse.GetValue(withId)) throw new UsageException("--with-id: only with --input");
            if (file is not null && parse.GetValue(text) is { Length: > 0 }) throw new UsageException("--input: not together with a text");
            var queries = file is null ? [] : Queries(file, parse.GetValue(withId));
            string? prompt = file is null ? terminal.Text(parse.GetValue(text), cancellation) : null;
            if (file is null && prompt is null && asJson) throw new UsageException("--json: needs a text");

            using var loaded = Opening.Load(
                terminal, parse.GetValue(model), parse.GetValue(threads), parse.GetValue(memory), Options.CacheType(parse.GetValue(kvCache)), new IceOptions { KeepNewlines = parse.GetValue(newlines) == "keep" }, quiet: parse.GetValue(quiet), parse.GetValue(adapter), cancellation: cancellation);
            var generation = new Generation(terminal, loaded, sampling.Read(parse), parse.GetValue(quiet), cancellation);
            if (file is not null) AnswerLines(terminal, generation, queries, asJson, cancellation);
            else if (prompt is null) Converse(terminal, generation, cancellation);
            else if (asJson) terminal.WriteJson(generation.Describe(generation.Fill(prompt)));
            else generation.Print(prompt);
        });
    }

    private static List<(string? Id, string Text)> Queries(string file, bool withId)
    {
        var queries = new List<(string? Id, string Text)>();
        int number = 0;
        foreach (string line in InputLines.Read(file))
        {
            number++;
            if (string.IsNullOrWhiteSpace(line)) continue;
            int tab = withId ? line.IndexOf('\t') : -1;
            if (withId && tab < 1) throw new GlmException($"{file}, line {number}: expected ID<tab>TEXT, found no tab after an id");
            queries.Add(withId ? (line[..tab], line[(tab + 1)..]) : (null, line));
        }
        return queries.Count > 0 ? queries : throw new GlmException($"{file}: expected a query on each line, found none");
    }

    private static void AnswerLines(Terminal terminal, Generation generation, List<(string? Id, string Text)> queries, bool json, CancellationToken cancellation)
    {
        var results = new List<object>();
        foreach (var (id, query) in queries)
        {
            cancellation.ThrowIfCancellationRequested();
            var filled = generation.Fill(query);
            if (json) results.Add(generation.Describe(filled, id));
            else terminal.Out.WriteLine($"{(id is null ? "" : id + "\t")}{filled.Beams[0].Text!.ReplaceLineEndings("\\n")}");
        }
        if (json) terminal.WriteJson(new { results });
    }

    private static void Converse(Terminal terminal, Generation generation, CancellationToken cancellation)
    {
        terminal.Error.WriteLine("A text with [MASK] is filled, any other is continued; a causal model only continues. \"stop\" ends.");
        while (true)
        {
            string? line = Ask(terminal, cancellation);
            if (line is null or "stop") return;
            if (string.IsNullOrWhiteSpace(line)) continue;
            try
            {
                generation.Print(line);
            }
            catch (GlmException error) // of this text; the next may be better
            {
                terminal.Error.WriteLine($"glm: {error.Message}");
            }
        }
    }

    private static string? Ask(Terminal terminal, CancellationToken cancellation)
    {
        terminal.Error.Write("> ");
        try
        {
            return terminal.ReadLine(cancellation);
        }
        catch (OperationCanceledException)
        {
            terminal.Error.WriteLine();
            throw;
        }
    }
}
