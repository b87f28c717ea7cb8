using System.CommandLine;
using System.Globalization;
using Glm.Tokenizers;
using Glm.Training;

namespace Glm.Cli.Commands;

/// <summary><c>glm tokenize</c>: text to ids and back, and training a vocabulary.</summary>
internal static class TokenizeCommand
{
    public static Command Create(Terminal terminal) =>
        new Command("tokenize", "Text to token ids and back; training a vocabulary") { Encode(terminal), Decode(terminal), Train(terminal) };

    private static ExampleCommand Encode(Terminal terminal)
    {
        var text = Options.Text("Text, in which [MASK], [gMASK] and [sMASK] are blanks; - reads it from standard input");
        var tokenizer = Options.Tokenizer();
        var newlines = Options.Newlines();
        var special = new Option<bool>("--special") { Description = "The name of any special token in the text is that token" };
        var asInput = new Option<bool>("--as-input") { Description = "With the tokens that the original puts around a text" };
        var json = Options.Json();
        return new ExampleCommand("encode", "Print the ids of a text",
            "glm tokenize encode \"The capital of France is [MASK].\"", "glm tokenize encode --tokenizer chatglm3-6b --as-input 你好", "glm tokenize encode --tokenizer ice_text.model --json - < text.txt")
        {
            text, tokenizer, newlines, special, asInput, json,
        }.Does((parse, cancellation) =>
        {
            string input = terminal.Text(parse.GetValue(text), cancellation) ?? throw new UsageException("no text given; - reads it from standard input");
            var vocabulary = Open(parse.GetValue(tokenizer), parse.GetValue(newlines));
            int[] ids = parse.GetValue(special) ? vocabulary.EncodeWithSpecial(input) : vocabulary.EncodeWithMasks(input);
            if (parse.GetValue(asInput)) ids = [.. vocabulary.Special.Before, .. ids, .. vocabulary.Special.After];
            if (parse.GetValue(json)) terminal.WriteJson(new { ids });
            else terminal.Out.WriteLine(string.Join(' ', ids));
        });
    }

    private static ExampleCommand Decode(Terminal terminal)
    {
        var ids = Options.Text("Ids, separated by spaces or commas; - reads them from standard input");
        var tokenizer = Options.Tokenizer();
        var json = Options.Json();
        return new ExampleCommand("decode", "Print the text of ids", "glm tokenize decode 20005 94874 84097", "glm tokenize encode Hello | glm tokenize decode -")
        {
            ids, tokenizer, json,
        }.Does((parse, cancellation) =>
        {
            int[] input = ParseIds(terminal.Text(parse.GetValue(ids), cancellation) ?? throw new UsageException("no ids given; - reads them from standard input"));
            string text = Open(parse.GetValue(tokenizer), newlines: null).Decode(input);
            if (parse.GetValue(json)) terminal.WriteJson(new { text });
            else terminal.Out.WriteLine(text);
        });
    }

    private static ExampleCommand Train(Terminal terminal)
    {
        var standard = new UnigramTrainerOptions();
        var inputs = new Argument<string[]>("INPUT") { Description = "Text files (.txt, .jsonl; plain, .gz, .xz, .zst) or folders of them", Arity = ArgumentArity.OneOrMore };
        var output = new Option<string>("--output") { HelpName = "FILE", Description = "The vocabulary to write", Required = true };
        var size = Options.Number("--size", "N", "Number of pieces", standard.VocabularySize, 1, 1 << 20);
        var coverage = Options.Number("--character-coverage", "SHARE", "The characters that make up this share of the text become pieces; the rest is bytes", standard.CharacterCoverage, 0, 1.0);
        var characters = Options.Number("--max-characters", "N", "Read at most this much text", standard.MaximumCharacters, 1, long.MaxValue);
        var field = Options.TextField();
        var threads = Options.Threads();
        var quiet = Options.Quiet();
        return new ExampleCommand("train", "Train a vocabulary (SentencePiece unigram, byte fallback) on texts; every input weighs the same",
            "glm tokenize train english.jsonl.zst chinese.jsonl.zst --size 16384 --output tokenizer.model")
        {
            inputs, output, size, coverage, characters, field, threads, quiet,
        }.Does((parse, cancellation) =>
        {
            var options = standard with
            {
                VocabularySize = parse.GetValue(size),
                CharacterCoverage = parse.GetValue(coverage),
                MaximumCharacters = parse.GetValue(characters),
                Threads = parse.GetValue(threads),
            };
            using var line = new ProgressLine(terminal, parse.GetValue(quiet));
            var progress = new DirectProgress<UnigramTrainerProgress>(state => line.Show(
                $"{state.Step}: {state.Pieces:N0} pieces{(double.IsNaN(state.BitsPerCharacter) ? "" : $", {state.BitsPerCharacter:F3} bits per character")}"));
            var texts = TextMixture.Read(parse.GetRequiredValue(inputs), parse.GetRequiredValue(field));
            string file = parse.GetRequiredValue(output);
            UnigramTrainer.Train(texts, options, progress, cancellation).Save(file);
            line.Dispose();
            terminal.Out.WriteLine($"{file}: {options.VocabularySize:N0} pieces");
        });
    }

    private static Tokenizer Open(string? path, string? newlines) =>
        VocabularyLocation.Open(ModelLocation.OrShipped(path), new IceOptions { KeepNewlines = newlines == "keep" });

    private static int[] ParseIds(string text) => [.. text.Split([' ', ',', '\n', '\r', '\t'], StringSplitOptions.RemoveEmptyEntries).Select(word =>
        int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int id) ? id : throw new UsageException($"expected ids, found {word}"))];
}
