using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Glm.Evaluation;
using Glm.Tokenizers;
using Glm.Training;

namespace Glm.Cli.Commands;

/// <summary><c>glm data</c>: text to training shards, and to questions of Ada-LEval.</summary>
internal static class DataCommand
{
    private const int LargestBook = 64 << 20;

    public static Command Create(Terminal terminal) => new Command("data", "Training data, and data of evaluation tasks that is made of texts") { Prepare(terminal), PrepareTasks(terminal), PassageSorting(terminal), AnswerSelection(terminal) };

    private static ExampleCommand Prepare(Terminal terminal)
    {
        var inputs = new Argument<string[]>("INPUT") { Description = "Text files (.txt: one document; .jsonl: one a line; plain, .gz, .xz, .zst) or folders of them", Arity = ArgumentArity.OneOrMore };
        var output = new Option<string>("--output") { HelpName = "FOLDER", Description = "Where the shards and their manifest go", Required = true };
        var tokenizer = Options.Tokenizer();
        var deduplicate = new Option<bool>("--deduplicate") { Description = "Leave out documents of which more than half stands in documents before them" };
        var heldOut = HeldOut("documents");
        var field = Options.TextField();
        var threads = Options.Threads();
        var json = Options.Json();
        var quiet = Options.Quiet();
        return new ExampleCommand("prepare", "Turn texts into shards of token ids, from which training reads",
            "glm data prepare corpus/*.jsonl.zst --tokenizer tokenizer.model --output data/train",
            "glm data prepare corpus/*.jsonl.zst --deduplicate --exclude valid.jsonl.zst --output data/train")
        {
            inputs, output, tokenizer, deduplicate, heldOut, field, threads, json, quiet,
        }.Does((parse, cancellation) =>
        {
            string file = Tokenizer.FileOf(ModelLocation.OrShipped(parse.GetValue(tokenizer)));
            var vocabulary = Tokenizer.Load(file);
            var preparer = new DataPreparer(new DataPrepareOptions
            {
                Encode = vocabulary.Encode,
                VocabularySize = vocabulary.VocabularySize,
                EodId = vocabulary.Special.Eod ?? throw new GlmException($"{file}: expected a vocabulary with an end of documents, found that of {vocabulary.Kind}"),
                TokenizerHash = ShardManifest.HashOfTokenizer(file),
                Deduplicate = parse.GetValue(deduplicate),
                HeldOut = parse.GetValue(heldOut) ?? [],
                TextField = parse.GetRequiredValue(field),
                Threads = parse.GetValue(threads),
            });
            using var line = new ProgressLine(terminal, parse.GetValue(quiet));
            var progress = new DirectProgress<DataPrepareProgress>(state => line.Show(
                $"{Path.GetFileName(state.File)}: {state.Documents:N0} documents, {state.Tokens:N0} tokens, {Units.Bytes(state.Utf8Bytes)} of text"));
            string folder = parse.GetRequiredValue(output);
            var manifest = preparer.Prepare(parse.GetRequiredValue(inputs), folder, progress, cancellation);
            line.Dispose();
            Report(terminal, manifest, folder, parse.GetValue(json));
        });
    }

    private static Option<string[]> HeldOut(string what) =>
        new("--exclude") { HelpName = "FILE", Description = $"Held-out text: {what} of which more than a tenth stands in it are left out", AllowMultipleArgumentsPerToken = true };

    private static ExampleCommand PassageSorting(Terminal terminal)
    {
        var inputs = new Argument<string[]>("INPUT") { Description = "Books: text files (.txt: one; .jsonl: one a line; plain, .gz, .xz, .zst) or folders of them", Arity = ArgumentArity.OneOrMore };
        var (output, settings, count, tokenizer, seed) = (Options.OutputFolder("Where textsort_SETTING.json go: ada_leval_tsort in the folder of data sets"), Settings("1k,2k"), Options.Number("--count", "N", "Questions of each setting", 200, 1, 100_000), Options.Tokenizer(), Options.Seed());
        return new ExampleCommand("tsort", "Ada-LEval's TSort from texts: four passages of a book to be put in order, prompts of 1k to 128k tokens",
            "glm data tsort novels/*.txt --settings 1k,2k,4k --count 200 --output data/eval/ada_leval_tsort")
        {
            inputs, output, settings, count, tokenizer, seed,
        }.Does((parse, cancellation) =>
        {
            var vocabulary = Tokenizer.Load(Tokenizer.FileOf(ModelLocation.OrShipped(parse.GetValue(tokenizer))));
            List<SourceText> books = [.. InputFile.Expand(parse.GetRequiredValue(inputs)).SelectMany(file => new DocumentReader(file, "text", LargestBook).Read()
                .Where(document => document.Text is not null).Select(document => new SourceText($"{Path.GetFileName(file)}:{document.Line}", document.Text!)))];
            foreach (string name in parse.GetRequiredValue(settings))
                Write(terminal, parse.GetRequiredValue(output), $"textsort_{name}.json", new PassageSort(vocabulary).Questions(books, LengthSetting.Parse(name), parse.GetValue(count), parse.GetValue(seed), cancellation));
        });
    }

    private static ExampleCommand AnswerSelection(Terminal terminal)
    {
        var input = new Argument<string>("FILE") { Description = "Questions of Ada-LEval's BestAnswer: stackselect_1k.json, plain or compressed" };
        var (output, settings, tokenizer, seed) = (Options.OutputFolder("Where stackselect_SETTING.json go"), Settings("2k"), Options.Tokenizer(), Options.Seed());
        return new ExampleCommand("bestanswer", "Longer questions of Ada-LEval's BestAnswer from short ones, with answers to other questions among theirs",
            "glm data bestanswer data/eval/ada_leval_bestanswer/stackselect_1k.json.gz --settings 2k,4k,8k --output data/eval/ada_leval_bestanswer")
        {
            input, output, settings, tokenizer, seed,
        }.Does((parse, cancellation) =>
        {
            var vocabulary = Tokenizer.Load(Tokenizer.FileOf(ModelLocation.OrShipped(parse.GetValue(tokenizer))));
            foreach (string name in parse.GetRequiredValue(settings))
                Write(terminal, parse.GetRequiredValue(output), $"stackselect_{name}.json", new AnswerPool(vocabulary).Questions(parse.GetRequiredValue(input), LengthSetting.Parse(name), parse.GetValue(seed), cancellation));
        });
    }

    private static Option<string[]> Settings(string standard) => new("--settings")
    {
        HelpName = "NAMES", Description = $"Lengths of prompts in tokens, separated by commas (default: {standard})", DefaultValueFactory = _ => standard.Split(','),
        CustomParser = result => [.. result.Tokens.SelectMany(token => token.Value.Split(','))],
    };

    private static void Write(Terminal terminal, string folder, string name, JsonArray questions)
    {
        string file = Path.Combine(folder, name);
        AtomicFile.Write(file, stream =>
        {
            using var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
            questions.WriteTo(writer);
        });
        terminal.Out.WriteLine($"{file}: {questions.Count:N0} questions");
    }

    private static ExampleCommand PrepareTasks(Terminal terminal)
    {
        var config = new Option<string>("--config") { HelpName = "FILE", Description = "The data sets: files, templates, caps and weights (JSON, see configs/tasks.json)", Required = true };
        var data = new Option<string?>("--data") { HelpName = "FOLDER", Description = "Where the files' names start from (default: the folder of FILE)" };
        var output = new Option<string>("--output") { HelpName = "FOLDER", Description = "Where the prompts go", Required = true };
        var tokenizer = Options.Tokenizer();
        var heldOut = HeldOut("records with a field");
        var json = Options.Json();
        var quiet = Options.Quiet();
        return new ExampleCommand("prepare-tasks", "Turn prompted data sets into ids, for multi-task instruction pre-training",
            "glm data prepare-tasks --config configs/tasks.json --data corpus --tokenizer tokenizer.model --output data/tasks")
        {
            config, data, output, tokenizer, heldOut, json, quiet,
        }.Does((parse, cancellation) =>
        {
            string path = parse.GetRequiredValue(config), folder = parse.GetRequiredValue(output);
            string file = Tokenizer.FileOf(ModelLocation.OrShipped(parse.GetValue(tokenizer)));
            var vocabulary = Tokenizer.Load(file);
            using var line = new ProgressLine(terminal, parse.GetValue(quiet));
            var preparer = new TaskPreparer(vocabulary.Encode, vocabulary.VocabularySize, ShardManifest.HashOfTokenizer(file));
            var manifest = preparer.Prepare(
                PromptSets.Load(path), parse.GetValue(data) ?? Path.GetDirectoryName(Path.GetFullPath(path))!, folder, parse.GetValue(heldOut), new DirectProgress<string>(line.Show), cancellation);
            line.Dispose();
            foreach (var task in manifest.Tasks.Where(task => task.Faulty > 0)) terminal.Error.WriteLine($"glm: {task.Name}: {task.Faulty:N0} lines gave no prompt; the first is {task.FirstFault}");
            if (parse.GetValue(json)) terminal.WriteJson(new { folder, manifest.Samples, manifest.Ids, Tasks = manifest.Tasks.Count, Malformed = manifest.Tasks.Sum(task => task.Faulty), HeldOut = manifest.Tasks.Sum(task => task.HeldOut) });
            else if (manifest.Tasks.Sum(task => task.HeldOut) is > 0 and var left) terminal.Out.WriteLine($"left out for text in common with what is held out: {left:N0} records");
            if (!parse.GetValue(json)) terminal.Out.WriteLine($"{folder}: {manifest.Samples:N0} prompts of {manifest.Tasks.Count} data sets, {manifest.Ids:N0} tokens");
        });
    }

    private static void Report(Terminal terminal, ShardManifest manifest, string folder, bool json)
    {
        // Lines that gave no document are never passed over in silence.
        foreach (var source in manifest.Sources.Where(source => source.Malformed > 0))
            terminal.Error.WriteLine($"glm: {source.File}: {source.Malformed:N0} lines gave no document; the first is line {source.FirstMalformedLine}: {source.FirstMalformedReason}");
        LeftOut duplicates = Sum(manifest.Sources.Select(source => source.Duplicates)), heldOut = Sum(manifest.Sources.Select(source => source.HeldOut));
        if (json)
            terminal.WriteJson(new
            {
                folder,
                manifest.Documents,
                manifest.Tokens,
                manifest.Utf8Bytes,
                Malformed = manifest.Sources.Sum(source => source.Malformed),
                Shards = manifest.Shards.Count,
                duplicates,
                heldOut,
            });
        else
        {
            if (duplicates.Documents > 0) terminal.Out.WriteLine($"left out as copies: {duplicates.Documents:N0} documents, {Units.Bytes(duplicates.Utf8Bytes)} of text");
            if (heldOut.Documents > 0) terminal.Out.WriteLine($"left out for text in common with what is held out: {heldOut.Documents:N0} documents, {Units.Bytes(heldOut.Utf8Bytes)} of text");
            terminal.Out.WriteLine(
                $"{folder}: {manifest.Documents:N0} documents, {manifest.Tokens:N0} tokens in {manifest.Shards.Count} shards, {(double)manifest.Utf8Bytes / manifest.Tokens:F2} bytes of text per token");
        }

        static LeftOut Sum(IEnumerable<LeftOut?> counts) => counts.OfType<LeftOut>().Aggregate(new LeftOut(0, 0), (sum, one) => new(sum.Documents + one.Documents, sum.Utf8Bytes + one.Utf8Bytes));
    }
}
