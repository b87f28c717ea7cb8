using System.IO.Compression;
using System.Text;
using Glm.Tests;

namespace Glm.Tokenizers.Tests;

/// <summary>The same ids, and the same text from ids, as SentencePiece itself gives.</summary>
public sealed class SpmEqualityTests
{
    private const int ValidationLines = 400;

    /// <summary>Ids recorded by record-spm.sh from spm_encode 0.1.97, one file per model, named after the model's folder.</summary>
    [TokenizersFact]
    public void RecordedIds()
    {
        WriteLinesForRecording();
        string[] vectors = Directory.GetFiles(Path.Combine(TestFiles.Repository, "tests", "Glm.Tokenizers.Tests", "vectors"), "*.ids.gz");
        Assert.Equal(3, vectors.Length);
        foreach (string vector in vectors)
        {
            string folder = Path.Combine(TestFiles.Tokenizers!, Path.GetFileName(vector)[..^".ids.gz".Length]);
            string model = Assert.Single(Directory.GetFiles(folder, "*.model"));
            AssertSameIds(model, SyntheticLines.All, ReadIds(vector));
        }
    }

    [SpmFact]
    public void SyntheticLinesOfEveryModel()
    {
        foreach (string model in Models())
        {
            int[][] expected = Spm.Encode(model, SyntheticLines.All);
            AssertSameIds(model, SyntheticLines.All, expected);
            AssertSameText(model, expected);
        }
    }

    [SpmFact]
    public void IdsInRandomOrderDecodeAlike()
    {
        var random = new Random(7);
        foreach (string model in Models())
        {
            var tokenizer = SentencePieceTokenizer.Load(model);
            int[] bytes = [.. Enumerable.Range(0, tokenizer.VocabularySize).Where(id => tokenizer.PieceOf(id).Type == PieceType.Byte)];
            int[][] lines = [.. Enumerable.Range(0, 200).Select(_ => Enumerable.Range(0, 1 + random.Next(12)).Select(_ =>
                bytes.Length > 0 && random.Next(2) == 0 ? bytes[random.Next(256)] : random.Next(tokenizer.VocabularySize)).ToArray())];
            // A line of the other program's output must not contain a newline.
            AssertSameText(model, [.. lines.Where(ids => !ids.Any(id => tokenizer.PieceOf(id).Text is "<0x0A>"))]);
        }
    }

    [SpmFact(data: true)]
    public void ValidationText()
    {
        foreach (string language in new[] { "en", "zh" })
        {
            string[] lines = [.. Documents.Read($"valid-{language}").SelectMany(text => text.Split('\n')).Where(line => line.Length > 0)];
            string[] some = [.. lines.Where((_, i) => i % Math.Max(1, lines.Length / ValidationLines) == 0)];
            foreach (string model in Models()) AssertSameIds(model, some, Spm.Encode(model, some));
        }
    }

    [SpmFact(tokenizers: false)]
    public void SpmReadsOurVocabulary()
    {
        string file = Path.GetTempFileName();
        try
        {
            TinyVocabulary.Model.Save(file);
            // A U+2581 in the text is ours alone: it comes back, where the original takes it for a space.
            string[] lines = [.. SyntheticLines.All.Where(line => !line.Contains('\u2581'))];
            int[][] ids = Spm.Encode(file, lines);
            Assert.Equal(ids, lines.Select(line => TinyVocabulary.Tokenizer.Encode(line)));
            AssertSameText(file, ids);
        }
        finally { File.Delete(file); }
    }

    private static IEnumerable<string> Models() =>
        Directory.GetFiles(TestFiles.Tokenizers!, "*.model", SearchOption.AllDirectories).Order().Where(IsSentencePiece);

    // The file of GLM-4 bears the same name but is a list of ranks.
    private static bool IsSentencePiece(string path)
    {
        using FileStream stream = File.OpenRead(path);
        return stream.ReadByte() == '\n';
    }

    private static void AssertSameIds(string model, IReadOnlyList<string> lines, int[][] expected)
    {
        var tokenizer = SentencePieceTokenizer.Load(model);
        Assert.Equal(lines.Count, expected.Length);
        for (int i = 0; i < lines.Count; i++)
            Assert.True(tokenizer.Encode(lines[i]).AsSpan().SequenceEqual(expected[i]),
                $"{model}: line {i}: expected {string.Join(' ', expected[i])}, found {string.Join(' ', tokenizer.Encode(lines[i]))}");
    }

    private static void AssertSameText(string model, int[][] ids)
    {
        var tokenizer = SentencePieceTokenizer.Load(model);
        string[] expected = Spm.Decode(model, ids);
        Assert.Equal(expected, ids.Select(line => tokenizer.Decode(line)));
    }

    private static int[][] ReadIds(string path)
    {
        using var reader = new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress));
        return [.. reader.ReadToEnd().Split('\n')[..^1].Select(Spm.ParseIds)];
    }

    private static void WriteLinesForRecording() => File.WriteAllText(Path.Combine(AppContext.BaseDirectory, "synthetic-lines.txt"),
        string.Concat(SyntheticLines.All.Select(line => line + "\n")), new UTF8Encoding(false));
}
