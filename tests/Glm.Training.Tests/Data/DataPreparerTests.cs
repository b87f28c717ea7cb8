using System.Diagnostics;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Glm.Tests;

namespace Glm.Training.Tests;

public class DataPreparerTests
{
    private const int Eod = 299;

    /// <summary>A tokenizer for tests: UTF-8 bytes as ids, 300 in all.</summary>
    internal static DataPrepareOptions Bytes => new()
    {
        Encode = text => [.. Encoding.UTF8.GetBytes(text).Select(b => (int)b)], VocabularySize = 300, EodId = Eod, TokenizerHash = "abc123",
    };

    internal static int[] ReadAll(string folder)
    {
        using TokenShards shards = TokenShards.Open(folder);
        var ids = new int[shards.Tokens];
        shards.Read(0, ids);
        return ids;
    }

    internal static int[] Ids(params string[] documents) => [.. documents.SelectMany(text => Encoding.UTF8.GetBytes(text).Select(b => (int)b).Append(Eod))];

    private static string JsonLines(params string[] texts) => string.Concat(texts.Select(text => JsonSerializer.Serialize(new { text }) + "\n"));

    [Theory]
    [InlineData(300, "uint16", 7)]
    [InlineData(65536, "uint16", 1000)]
    [InlineData(65537, "int32", 7)]
    public void Documents_come_back_in_order_whatever_the_shards(int vocabulary, string dtype, int tokensPerShard)
    {
        using var folder = new TemporaryFolder();
        string lines = folder.Write("a.jsonl", JsonLines("one", "two\nlines", "三")), text = folder.Write("b.txt", "a whole file\n");
        ShardManifest manifest = new DataPreparer(Bytes with { VocabularySize = vocabulary, TokensPerShard = tokensPerShard }).Prepare([lines, text], folder["out"]);

        int[] expected = Ids("one", "two\nlines", "三", "a whole file\n");
        Assert.Equal(expected, ReadAll(folder["out"]));
        Assert.Equal((dtype, vocabulary, "abc123", Eod), (manifest.Dtype, manifest.VocabularySize, manifest.TokenizerSha256, manifest.EodId));
        Assert.Equal((4L, (long)expected.Length, expected.Length - 4L), (manifest.Documents, manifest.Tokens, manifest.Utf8Bytes));
        Assert.Equal([new SourceEntry(lines, 3, 18, 15, 0, null, null), new SourceEntry(text, 1, 14, 13, 0, null, null)], manifest.Sources);
        Assert.Equal((expected.Length + tokensPerShard - 1) / tokensPerShard, manifest.Shards.Count);
        Assert.All(manifest.Shards.SkipLast(1), shard => Assert.Equal(tokensPerShard, shard.Tokens));
        Assert.All(manifest.Shards, shard => Assert.Equal(shard.Sha256, Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(Path.Combine(folder["out"], shard.File))))));
        using TokenShards shards = TokenShards.Open(folder["out"], "ABC123");
        shards.Verify();
        Assert.Equivalent(manifest, shards.Manifest, strict: true);
    }

    [Fact]
    public void Any_texts_come_back_from_any_shards() =>
        Prop.ForAll<NonNull<string>[], PositiveInt>((texts, size) =>
        {
            string[] documents = [.. texts.Select(text => new string([.. text.Get.Where(c => !char.IsSurrogate(c))])).Where(text => !string.IsNullOrWhiteSpace(text)), "one"];
            using var folder = new TemporaryFolder();
            int tokensPerShard = Ids(documents).Length / 4 + size.Get;
            new DataPreparer(Bytes with { TokensPerShard = tokensPerShard }).Prepare([folder.Write("a.jsonl", JsonLines(documents))], folder["out"]);
            return ReadAll(folder["out"]).SequenceEqual(Ids(documents));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Malformed_lines_are_counted_with_the_first_line_and_reason()
    {
        using var folder = new TemporaryFolder();
        string[] lines =
        [
            """{"text": "good"}""", "", "   \r", """{"text": "cut off""", """{"title": "no text"}""", """{"text": 5}""", "[1]", """{"text": " \n"}""",
            """{"text": "half \ud800"}""", """{"text": "two"} {}""", """{"text": "last", "more": {"text": "inner"}}""",
        ];
        byte[] bytes = [.. Encoding.UTF8.GetBytes(string.Join("\n", lines)), (byte)'\n', .. "{\"text\": \""u8, 0xC3, 0x28, .. "\"}\n"u8];
        string file = folder.Write("mixed.jsonl", bytes), broken = folder.Write("broken.txt", [.. "first\nsecond "u8, 0xFF]), empty = folder.Write("empty.txt", "");
        ShardManifest manifest = new DataPreparer(Bytes).Prepare([file, broken, empty], folder["out"]);
        Assert.Equal(Ids("good", "last"), ReadAll(folder["out"]));
        Assert.Equal(new SourceEntry(file, 2, 10, 8, 8, 4, "invalid JSON"), manifest.Sources[0]);
        Assert.Equal(new SourceEntry(broken, 0, 0, 0, 1, 2, "invalid UTF-8"), manifest.Sources[1]);
        Assert.Equal(0, manifest.Sources[2].Documents);
    }

    [Theory]
    [InlineData("{\"title\": \"x\"}", "no field 'text'")]
    [InlineData("{\"text\": 5}", "field 'text' is no string")]
    [InlineData("[1]", "no JSON object")]
    [InlineData("{\"text\": \"\"}", "empty text")]
    [InlineData("{\"text\": \"\\ud800\"}", "half of a surrogate pair")]
    [InlineData("{\"text\": \"a\"} 1", "invalid JSON")]
    [InlineData("{\"text\": \"0123456789012345678901234567890123456789\"}", "longer than 32 bytes")]
    public void Each_fault_is_named(string line, string reason)
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("a.jsonl", line + "\n{\"text\": \"good\"}\n");
        ShardManifest manifest = new DataPreparer(Bytes with { MaxDocumentBytes = 32 }).Prepare([file], folder["out"]);
        Assert.Equal(Ids("good"), ReadAll(folder["out"]));
        Assert.Equal((1L, 1L), (manifest.Sources[0].Malformed, manifest.Sources[0].FirstMalformedLine));
        Assert.Contains(reason, manifest.Sources[0].FirstMalformedReason!);
    }

    [Fact]
    public void Large_text_files_become_documents_of_whole_lines_or_characters()
    {
        using var folder = new TemporaryFolder();
        string lines = folder.Write("lines.txt", "\uFEFFfirst line\nsecond line\nthird\n"), unbroken = folder.Write("unbroken.txt", new string('三', 11));
        new DataPreparer(Bytes with { MaxDocumentBytes = 16 }).Prepare([lines, unbroken], folder["out"]);
        Assert.Equal(Ids("first line\n", "second line\n", "third\n", "三三三三三", "三三三三三", "三"), ReadAll(folder["out"]));
    }

    [Fact]
    public void Compressed_files_and_folders_are_read()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["in/sub"]);
        using (var gzip = new GZipStream(File.Create(folder["in/b.jsonl.gz"]), CompressionLevel.Fastest)) gzip.Write(Encoding.UTF8.GetBytes(JsonLines("zipped")));
        folder.Write("in/a.txt", "A");
        folder.Write("in/sub/c.TXT", "C");
        folder.Write("in/notes.md", "not read");
        new DataPreparer(Bytes).Prepare([folder["in"]], folder["out"]);
        Assert.Equal(Ids("A", "zipped", "C"), ReadAll(folder["out"]));
    }

    [Fact]
    public void A_cut_gzip_file_stops_the_preparation() => CutFileStops("gz", bytes =>
    {
        using var output = new MemoryStream();
        using (var gzip = new GZipStream(output, CompressionLevel.Fastest)) gzip.Write(bytes);
        return output.ToArray();
    });

    [Fact]
    public void Gzip_files_of_several_members_are_read_and_cuts_anywhere_noticed()
    {
        using var folder = new TemporaryFolder();
        byte[] Member(string text)
        {
            using var output = new MemoryStream();
            using (var gzip = new GZipStream(output, CompressionLevel.Fastest)) gzip.Write(Encoding.UTF8.GetBytes(text));
            return output.ToArray();
        }
        byte[] first = Member("first half, "), second = Member("second half");
        string file = folder.Write("a.txt.gz", [.. first, .. second]);
        new DataPreparer(Bytes).Prepare([file], folder["out"]);
        Assert.Equal(Ids("first half, second half"), ReadAll(folder["out"]));
        for (int length = 1; length < second.Length; length++)
        {
            folder.Write("a.txt.gz", [.. first, .. second[..length]]);
            Assert.Contains(file, Assert.Throws<GlmException>(() => new DataPreparer(Bytes).Prepare([file], folder["cut"])).Message);
        }
    }

    [ToolFact("zstd")]
    public void A_cut_zstd_file_stops_the_preparation() => CutFileStops("zst", bytes => Compress("zstd", bytes));

    [ToolFact("xz")]
    public void A_cut_xz_file_stops_the_preparation() => CutFileStops("xz", bytes => Compress("xz", bytes));

    private static void CutFileStops(string extension, Func<byte[], byte[]> compress)
    {
        using var folder = new TemporaryFolder();
        string[] texts = [.. Enumerable.Range(0, 2000).Select(i => $"document {i} {new CounterRandom(1, (ulong)i).NextUInt32()}")];
        byte[] compressed = compress(Encoding.UTF8.GetBytes(JsonLines(texts)));
        string whole = folder.Write($"whole.jsonl.{extension}", compressed), cut = folder.Write($"cut.jsonl.{extension}", compressed[..^20]);

        new DataPreparer(Bytes).Prepare([whole], folder["out"]);
        Assert.Equal(Ids(texts), ReadAll(folder["out"]));

        var error = Assert.Throws<GlmException>(() => new DataPreparer(Bytes with { TokensPerShard = 10_000 }).Prepare([cut], folder["bad"]));
        Assert.Contains(cut, error.Message);
        Assert.False(Directory.Exists(folder["bad"]) && Directory.EnumerateFiles(folder["bad"]).Any());
    }

    private static byte[] Compress(string tool, byte[] bytes)
    {
        using Process process = Process.Start(new ProcessStartInfo(tool, "-c") { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        Task feed = Task.Run(() =>
        {
            process.StandardInput.BaseStream.Write(bytes);
            process.StandardInput.Close();
        });
        using var output = new MemoryStream();
        process.StandardOutput.BaseStream.CopyTo(output);
        feed.Wait();
        return output.ToArray();
    }

    [Fact]
    public void The_same_inputs_give_the_same_bytes()
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("a.jsonl", JsonLines([.. Enumerable.Range(0, 500).Select(i => new string('x', i * 37 % 101 + 1) + i)]));
        foreach (int threads in (int[])[1, 2, 8])
            new DataPreparer(Bytes with { Threads = threads, TokensPerShard = 5000 }).Prepare([file], folder[$"{threads}"]);
        foreach (string name in Directory.GetFiles(folder["1"]).Select(Path.GetFileName)!)
            foreach (int threads in (int[])[2, 8])
                Assert.Equal(File.ReadAllBytes(Path.Combine(folder["1"], name)), File.ReadAllBytes(Path.Combine(folder[$"{threads}"], name)));
    }

    [Fact]
    public void Inputs_and_options_that_cannot_work_are_refused()
    {
        using var folder = new TemporaryFolder();
        string good = folder.Write("a.txt", "good"), output = folder["out"];
        void Refused(string reason, DataPrepareOptions options, params string[] inputs) =>
            Assert.Contains(reason, Assert.Throws<GlmException>(() => new DataPreparer(options).Prepare(inputs, output)).Message);

        Refused("no inputs", Bytes);
        Refused("no such file", Bytes, folder["absent.txt"]);
        Refused("expected a name that ends in", Bytes, folder.Write("a.pdf", "x"));
        Directory.CreateDirectory(folder["nothing"]);
        Refused("to read", Bytes, folder["nothing"]);
        Refused("line 2: no field 'text'", Bytes, folder.Write("bad.jsonl", "\n{}\n"));
        Refused("id 97", Bytes with { VocabularySize = 90, EodId = 1 }, folder.Write("b.txt", "a"));
        Refused("EodId", Bytes with { EodId = 300 }, good);
        Refused("VocabularySize", Bytes with { VocabularySize = 0 }, good);
        Refused("TokensPerShard", Bytes with { TokensPerShard = 0 }, good);
        Refused("Threads", Bytes with { Threads = 0 }, good);
        Assert.False(Directory.Exists(output) && Directory.EnumerateFiles(output).Any());

        new DataPreparer(Bytes).Prepare([good], output);
        Refused("already holds prepared", Bytes, good);
        string file = folder.Write("file", "not a folder");
        Assert.Throws<GlmException>(() => new DataPreparer(Bytes).Prepare([good], file));
    }

    [Fact]
    public void A_cancelled_preparation_leaves_nothing_and_progress_is_told()
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("a.jsonl", JsonLines([.. Enumerable.Range(0, 400).Select(i => new string('x', 10_000))]));
        using var stop = new CancellationTokenSource();
        var reports = new List<DataPrepareProgress>();
        var stopAtSecond = new Reporter(report =>
        {
            reports.Add(report);
            if (reports.Count == 2) stop.Cancel();
        });
        Assert.ThrowsAny<OperationCanceledException>(() => new DataPreparer(Bytes with { TokensPerShard = 100_000 }).Prepare([file], folder["out"], stopAtSecond, stop.Token));
        Assert.Equal(2, reports.Count);
        Assert.True(reports[1].Utf8Bytes >= reports[0].Utf8Bytes + (1 << 20));
        Assert.Empty(Directory.GetFiles(folder["out"]));
    }

    private sealed class Reporter(Action<DataPrepareProgress> action) : IProgress<DataPrepareProgress>
    {
        public void Report(DataPrepareProgress value) => action(value);
    }

    [Fact]
    public void A_full_disk_is_an_error_that_names_the_file()
    {
        using var folder = new TemporaryFolder();
        string path = folder[ShardFile.Name(0)];
        var error = Assert.Throws<GlmException>(() => AtomicFile.Write(path, _ => ShardFile.WriteIds(new FullDisk(1000), new int[5000], sizeof(int))));
        Assert.Contains(path, error.Message);
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    [Fact]
    public void A_missing_program_is_named()
    {
        var error = Assert.Throws<GlmException>(() => new DecompressedByTool("a.txt.xz", "no-such-program-here"));
        Assert.Contains("a.txt.xz: needs the program 'no-such-program-here'", error.Message);
    }

    [DataFact]
    public void Real_texts_come_back_whole()
    {
        using var folder = new TemporaryFolder();
        string[] inputs = [.. Directory.GetFiles(Path.Combine(TestFiles.Data!, "pretrain"), "valid-*.jsonl.zst").Order(StringComparer.Ordinal)];
        Assert.NotEmpty(inputs);
        ShardManifest manifest = new DataPreparer(Bytes).Prepare(inputs, folder["out"]);
        Assert.All(manifest.Sources, source => Assert.Equal(0, source.Malformed));
        int[] ids = ReadAll(folder["out"]);
        string[] texts = Encoding.UTF8.GetString([.. ids.Select(id => id == Eod ? (byte)0 : (byte)id)]).Split('\0', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(manifest.Documents, texts.Length);
        Assert.Equal(manifest.Utf8Bytes, texts.Sum(Encoding.UTF8.GetByteCount));
        Assert.Equal(inputs.Select(input => DocumentTexts(input)).SelectMany(text => text), texts);
    }

    private static IEnumerable<string> DocumentTexts(string path)
    {
        using Process process = Process.Start(new ProcessStartInfo("zstd", ["-dc", path]) { RedirectStandardOutput = true })!;
        while (process.StandardOutput.ReadLine() is { } line) yield return JsonDocument.Parse(line).RootElement.GetProperty("text").GetString()!;
    }

    private sealed class FullDisk(int capacity) : MemoryStream
    {
        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (Length + buffer.Length > capacity) throw new IOException("No space left on device");
            base.Write(buffer);
        }
    }
}
