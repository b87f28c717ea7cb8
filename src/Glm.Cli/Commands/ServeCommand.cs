using System.CommandLine;
using System.Text.Json.Nodes;
using Glm.Inference;
using Glm.Server;
using Microsoft.Extensions.Logging;

namespace Glm.Cli.Commands;

/// <summary><c>glm serve</c>: models behind the OpenAI API, and a page for people.</summary>
internal static class ServeCommand
{
    public static Command Create(Terminal terminal)
    {
        var models = new Option<string[]>("--model") { HelpName = "[NAME=]PATH", Description = "Directory or GGUF file of a model, may be given several times; the first is the one of requests that name none (default: the one that ships)" };
        var config = new Option<string?>("--config") { HelpName = "FILE", Description = $"JSON file with options of the server; variables {ServerOptions.VariablePrefix}PORT and so on come before it, the command line before both" };
        var host = new Option<string?>("--host") { HelpName = "ADDRESS", Description = "Address to listen at: 127.0.0.1, which only this machine reaches, unless told otherwise; 0.0.0.0 for all" };
        var port = new Option<int?>("--port") { HelpName = "N", Description = "Port to listen at; 0 for any free one (default: 8080)" };
        var batch = Options.Number("--batch", "N", "Requests that are generated together", 16, 1, 1024);
        var queue = Options.Number("--queue", "N", "Requests that may wait; more are refused", 256, 1, 1 << 20);
        var prompt = Options.Number("--prompt-tokens", "N", "Tokens of prompts that are read in one step, so long as which others wait", 256, 1, 1 << 16);
        var draftModel = new Option<string?>("--draft-model") { HelpName = "PATH", Description = "Directory or GGUF file of a smaller model with the same vocabulary, which guesses tokens ahead" };
        var draft = Options.Number("--draft-tokens", "N", "Tokens that are guessed where few requests run, from the text or by the draft model; results are the same (default with a draft model: 4)", 0, 0, 64);
        var kvMemory = new Option<long?>("--kv-memory")
        {
            HelpName = "SIZE",
            Description = "Memory for keys and values of each model, such as 2GB (default: an eighth of the machine's, at most what a full batch could use)",
            CustomParser = result =>
            {
                if (Units.TryParseBytes(result.Tokens[^1].Value, out long bytes) && bytes > 0) return bytes;
                result.AddError($"--kv-memory: expected a size such as 2GB, found {result.Tokens[^1].Value}");
                return null;
            },
        };
        var newKey = new Option<string?>("--new-key") { HelpName = "NAME", Description = "Print a new API key, and what the configuration has to say of it; serves nothing" };
        var jsonLogs = new Option<bool>("--json-logs") { Description = "Logs as lines of JSON" };
        var tokenizer = Options.OtherTokenizer();
        var kvCache = Options.KvCache();
        var adapter = Options.Adapter();
        var memory = Options.Memory();
        var threads = Options.Threads();
        var quiet = Options.Quiet();
        return new ExampleCommand("serve", "Serve models over HTTP as OpenAI does, with a page for people at /",
            "glm serve", "glm serve --model chat=chatglm3-6b-q4_0.gguf --port 9000", "glm serve --host 0.0.0.0 --config serve.json", "glm serve --new-key alice")
        {
            models, config, host, port, batch, queue, prompt, draftModel, draft, kvMemory, newKey, jsonLogs, tokenizer, adapter, kvCache, memory, threads, quiet,
        }.InRanks().Does((parse, cancellation) =>
        {
            if (parse.GetValue(newKey) is { } name)
            {
                PrintKey(terminal, name);
                return;
            }
            var flags = new JsonObject();
            if (parse.GetValue(host) is { } address) flags["host"] = address;
            if (parse.GetValue(port) is { } number) flags["port"] = number;
            var options = ServerOptions.Read(parse.GetValue(config), Variables(), flags);
            var batching = new BatchingOptions
            {
                MaxBatch = parse.GetValue(batch),
                MaxQueue = parse.GetValue(queue),
                PromptTokensPerStep = parse.GetValue(prompt),
                DraftTokens = parse.GetValue(draft),
            };
            var load = new LoadOptions
            {
                Threads = parse.GetValue(threads),
                Memory = parse.GetValue(memory),
                CacheType = Options.CacheType(parse.GetValue(kvCache)),
                KvMemory = parse.GetValue(kvMemory),
                Tokenizer = parse.GetValue(tokenizer),
                Adapter = parse.GetValue(adapter),
                Draft = parse.GetValue(draftModel),
            };
            string?[] paths = parse.GetValue(models) is { Length: > 0 } given ? [.. given] : [(string?)null];
            if (paths.Length > 1 && load is not { Memory: null, Draft: null }) throw new UsageException("--memory and --draft-model are for one model");
            if (terminal.World.Size > 1)
            {
                if (paths.Length > 1) throw new UsageException("under mpirun, one model is served");
                load = load with { Ranks = terminal.World };
                if (!terminal.IsFirst)
                {
                    // Whatever signals come, the first rank says when it is over.
                    GlmModel.Follow(Named(paths[0]).Path, load, cancellation);
                    return;
                }
            }
            RunAsync(terminal, options, paths, load, batching, parse.GetValue(jsonLogs), parse.GetValue(quiet), cancellation).GetAwaiter().GetResult();
        });
    }

    private static async Task RunAsync(
        Terminal terminal, ServerOptions options, string?[] paths, LoadOptions load, BatchingOptions batching, bool jsonLogs, bool quiet, CancellationToken cancellation)
    {
        using var line = new ProgressLine(terminal, quiet);
        var models = new List<GlmModel>();
        await using var server = await GlmServer.StartAsync(options, (loggers, stop) => models = Load(paths, load, batching, loggers, Opening.Packing(line), stop), logging => Log(logging, jsonLogs, quiet), cancellation).ConfigureAwait(false);
        terminal.Out.WriteLine(server.Address);
        terminal.Out.Flush();
        if (!quiet && !jsonLogs && load.Ranks is null) terminal.Error.WriteLine($"Ctrl-C stops; requests under way have {options.DrainSeconds} s to finish.");
        var ended = await Task.WhenAny([Task.Delay(Timeout.Infinite, cancellation), .. models.Select(model => model.Engine.Ended)]).ConfigureAwait(false);
        if (ended is { Exception.InnerException: { } error }) throw new GlmException($"the ranks cannot go on: {error.Message}", error);
    }

    private static List<GlmModel> Load(
        string?[] paths, LoadOptions load, BatchingOptions batching, ILoggerFactory loggers, IProgress<Models.PackingProgress> progress, CancellationToken cancellation)
    {
        var models = new List<GlmModel>();
        foreach (string? path in paths)
        {
            var (name, file) = Named(path);
            models.Add(GlmModel.Load(file, load, batching, name, loggers.CreateLogger<GlmModel>(), progress, cancellation));
        }
        return models;
    }

    /// <summary>The name and the path of <c>NAME=PATH</c>. A path may hold the sign itself.</summary>
    private static (string? Name, string? Path) Named(string? given) =>
        given is not null && given.IndexOf('=') is > 0 and var sign && !File.Exists(given) && !Directory.Exists(given) ? (given[..sign], given[(sign + 1)..]) : (null, given);

    private static void Log(ILoggingBuilder logging, bool json, bool quiet)
    {
        logging.SetMinimumLevel(quiet ? LogLevel.Warning : LogLevel.Information).AddFilter("Microsoft", LogLevel.Warning)
            .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None); // what it says of an address that is taken, we say in a line
        // Standard output is for data: the address.
        logging.AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        if (json) logging.AddJsonConsole(console => console.UseUtcTimestamp = true);
        else logging.AddSimpleConsole(console => (console.SingleLine, console.TimestampFormat, console.UseUtcTimestamp) = (true, "HH:mm:ss ", true));
    }

    private static void PrintKey(Terminal terminal, string name)
    {
        var (key, hash) = ServerOptions.NewKey();
        terminal.Out.WriteLine(key);
        terminal.Error.WriteLine($$"""Keep it: only its hash goes into the configuration, "keys": [{"name": "{{name}}", "sha256": "{{hash}}"}]""");
    }

    private static IEnumerable<KeyValuePair<string, string>> Variables()
    {
        foreach (System.Collections.DictionaryEntry variable in Environment.GetEnvironmentVariables())
            if (variable is { Key: string key, Value: string value }) yield return KeyValuePair.Create(key, value);
    }
}
