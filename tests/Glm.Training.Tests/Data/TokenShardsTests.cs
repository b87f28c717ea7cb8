using System.Text.Json.Nodes;
using FsCheck;
using FsCheck.Fluent;

namespace Glm.Training.Tests;

public class TokenShardsTests
{
    /// <summary>Prepares one document whose text has the given number of bytes.</summary>
    private static string Prepare(TemporaryFolder folder, string name, int bytes, int tokensPerShard, DataPrepareOptions? options = null)
    {
        string text = string.Concat(Enumerable.Range(0, bytes).Select(i => (char)('a' + i % 26)));
        new DataPreparer((options ?? DataPreparerTests.Bytes) with { TokensPerShard = tokensPerShard }).Prepare([folder.Write(name + ".txt", text)], folder[name]);
        return folder[name];
    }

    [Fact]
    public void Any_stretch_reads_as_in_the_whole()
    {
        using var folder = new TemporaryFolder();
        string data = Prepare(folder, "data", 999, 64);
        int[] all = DataPreparerTests.ReadAll(data);
        Assert.Equal(1000, all.Length);
        using TokenShards shards = TokenShards.Open(data);
        Prop.ForAll<ushort, ushort>((a, b) =>
        {
            int start = a % 1001, length = b % (1001 - start);
            var ids = new int[length];
            shards.Read(start, ids);
            return ids.SequenceEqual(all[start..(start + length)]);
        }).QuickCheckThrowOnFailure();
        Assert.Throws<ArgumentOutOfRangeException>(() => shards.Read(999, new int[2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => shards.Read(-1, new int[2]));
    }

    [Fact]
    public void Every_damage_of_the_manifest_is_a_clear_error()
    {
        using var folder = new TemporaryFolder();
        string data = Prepare(folder, "data", 99, 64), path = Path.Combine(data, "manifest.json");
        byte[] whole = File.ReadAllBytes(path);
        for (int length = 0; length < whole.Length - 1; length += 7)
        {
            File.WriteAllBytes(path, whole[..length]);
            Assert.Throws<GlmException>(() => TokenShards.Open(data));
        }

        for (int i = 0; i < whole.Length; i++)
        {
            byte[] flipped = [.. whole];
            flipped[i] ^= (byte)(1 << (i % 8));
            File.WriteAllBytes(path, flipped);
            try
            {
                using TokenShards shards = TokenShards.Open(data);
                shards.Verify();
                int[] ids = new int[shards.Tokens];
                shards.Read(0, ids);
            }
            catch (GlmException)
            {
                // Anything else, and any other exception, fails the test; names of sources and counts of documents may change freely.
            }
        }

        void Changed(string expected, Action<JsonObject> change)
        {
            JsonObject manifest = JsonNode.Parse(whole)!.AsObject();
            change(manifest);
            File.WriteAllText(path, manifest.ToJsonString());
            Assert.Contains(expected, Assert.Throws<GlmException>(() => TokenShards.Open(data)).Message);
        }
        foreach (string field in JsonNode.Parse(whole)!.AsObject().Select(field => field.Key))
        {
            Changed(field, manifest => manifest.Remove(field));
            Changed("manifest.json", manifest => manifest[field] = null);
            Changed("manifest.json", manifest => manifest[field] = new JsonObject());
        }
        Changed("version: expected 1, found 2", manifest => manifest["version"] = 2);
        Changed("format: expected glm-token-shards", manifest => manifest["format"] = "other");
        Changed("dtype", manifest => manifest["dtype"] = "int32");
        Changed("vocabulary_size", manifest => manifest["vocabulary_size"] = -1);
        Changed("does not fit the manifest", manifest => manifest["vocabulary_size"] = 1000);
        Changed("eod_id", manifest => manifest["eod_id"] = 300);
        Changed("tokens: expected 100", manifest => manifest["tokens"] = 101);
        Changed("shards.file", manifest => manifest["shards"]![0]!["file"] = "../shard-00000.bin");
        Changed("shards.file", manifest => manifest["shards"]![1]!["file"] = "shard-00000.bin");
        Changed("shards.tokens", manifest => manifest["shards"]![0]!["tokens"] = long.MaxValue);
        Changed("shards.bytes", manifest => manifest["shards"]![0]!["bytes"] = 5);
        Changed("shards and sources", manifest => manifest["shards"]![0] = null);

        File.Delete(path);
        Assert.Contains("no prepared training data", Assert.Throws<GlmException>(() => TokenShards.Open(data)).Message);
        Assert.Throws<GlmException>(() => TokenShards.Open(folder["absent"]));
    }

    [Fact]
    public void Every_damage_of_a_shard_is_a_clear_error()
    {
        using var folder = new TemporaryFolder();
        string data = Prepare(folder, "data", 99, 64), path = Path.Combine(data, "shard-00001.bin");
        byte[] whole = File.ReadAllBytes(path);
        foreach (int length in Enumerable.Range(0, whole.Length).Append(whole.Length + 1))
        {
            File.WriteAllBytes(path, length <= whole.Length ? whole[..length] : [.. whole, 0]);
            Assert.Contains($"expected {whole.Length} bytes", Assert.Throws<GlmException>(() => TokenShards.Open(data)).Message);
        }
        for (int i = 0; i < whole.Length; i++)
        {
            byte[] flipped = [.. whole];
            flipped[i] ^= 0x40;
            File.WriteAllBytes(path, flipped);
            Assert.Contains(path, Assert.Throws<GlmException>(() =>
            {
                using TokenShards shards = TokenShards.Open(data);
                shards.Verify();
            }).Message);
        }

        // The high byte of an id: beyond the vocabulary, found while reading.
        byte[] wild = [.. whole];
        wild[^1] = 0xFF;
        File.WriteAllBytes(path, wild);
        using (TokenShards shards = TokenShards.Open(data))
            Assert.Contains("expected ids below 300", Assert.Throws<GlmException>(() => shards.Read(99, new int[1])).Message);

        File.Delete(path);
        Assert.Contains(path, Assert.Throws<GlmException>(() => TokenShards.Open(data)).Message);
    }

    [Fact]
    public void Data_of_another_tokenizer_is_refused()
    {
        using var folder = new TemporaryFolder();
        string data = Prepare(folder, "data", 99, 64), other = Prepare(folder, "other", 99, 64, DataPreparerTests.Bytes with { TokenizerHash = "def" });
        Assert.Contains("another tokenizer: expected sha256 def, found abc123", Assert.Throws<GlmException>(() => TokenShards.Open(data, "def")).Message);
        using TokenShards first = TokenShards.Open(data, "abc123"), second = TokenShards.Open(other);
        Assert.Contains("another tokenizer", Assert.Throws<GlmException>(() => new TokenRows([(first, 1), (second, 1)], 10, 0)).Message);
    }

    [Fact]
    public void The_permutation_is_a_bijection() =>
        Prop.ForAll<ushort, ulong>((n, seed) =>
        {
            int count = n % 3000 + 1;
            var order = new IndexPermutation(count, seed, seed >> 7);
            return Enumerable.Range(0, count).Select(i => order[i]).Order().SequenceEqual(Enumerable.Range(0, count).Select(i => (long)i));
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void The_permutation_mixes()
    {
        var order = new IndexPermutation(10_000, 1, 2);
        double[] images = [.. Enumerable.Range(0, 10_000).Select(i => (double)order[i])];
        double mean = images.Average(), variance = images.Average(x => (x - mean) * (x - mean));
        // Uncorrelated with its own place, and with the next one: standard deviation of a correlation is 0.01.
        Assert.InRange(images.Select((x, i) => (x - mean) * (i - mean)).Average() / variance, -0.04, 0.04);
        Assert.InRange(images.Zip(images.Skip(1), (x, y) => (x - mean) * (y - mean)).Average() / variance, -0.04, 0.04);
        Assert.InRange(images.Where((x, i) => x == i).Count(), 0, 6); // one fixed point is expected
    }

    [Fact]
    public void An_epoch_has_every_row_once_in_an_order_of_its_own()
    {
        using var folder = new TemporaryFolder();
        using TokenShards shards = TokenShards.Open(Prepare(folder, "data", 4007, 1000));
        var rows = new TokenRows([(shards, 1)], 20, seed: 3);
        Assert.Equal([200L], rows.RowsPerSource);
        // Blocks of 1024 samples are shuffled as they are mixed, so epochs are counted in the first 25600 = 25 blocks = 128 epochs.
        long[] all = [.. Enumerable.Range(0, 25_600).Select(i => rows.Locate(i).Row)];
        Assert.All(all.CountBy(row => row), count => Assert.Equal(128, count.Value));
        Assert.NotEqual(all[..1024], all[1024..2048]);
        Assert.NotEqual(all[..1024], [.. Enumerable.Range(0, 1024).Select(i => new TokenRows([(shards, 1)], 20, seed: 4).Locate(i).Row)]);

        var ids = new int[20];
        var expected = new int[20];
        for (int i = 0; i < 300; i++)
        {
            rows.Row(i, ids);
            shards.Read(all[i] * 20, expected);
            Assert.Equal(expected, ids);
        }
        Assert.Throws<ArgumentException>(() => rows.Row(0, new int[19]));
        Assert.Throws<ArgumentOutOfRangeException>(() => rows.Row(-1, ids));
    }

    [Fact]
    public void Sources_take_turns_by_weight()
    {
        using var folder = new TemporaryFolder();
        using TokenShards a = TokenShards.Open(Prepare(folder, "a", 999, 1000)), b = TokenShards.Open(Prepare(folder, "b", 4999, 1000)), c = TokenShards.Open(Prepare(folder, "c", 299, 1000));
        var rows = new TokenRows([(a, 5), (b, 3), (c, 2)], 10, seed: 9);
        (int Source, long Row)[] samples = [.. Enumerable.Range(0, 10_240).Select(i => rows.Locate(i))];
        for (int block = 0; block < 10; block++)
        {
            ILookup<int, long> turns = samples[(1024 * block)..(1024 * (block + 1))].ToLookup(sample => sample.Source, sample => sample.Row);
            Assert.InRange(turns[0].Count(), 511, 513);
            Assert.InRange(turns[1].Count(), 306, 308);
            Assert.InRange(turns[2].Count(), 203, 206);
        }
        // 5120 samples of a: 51 times 100 rows and 20 more; no row falls behind.
        Assert.All(samples.Where(s => s.Source == 0).CountBy(s => s.Row), row => Assert.InRange(row.Value, 51, 52));
        Assert.All(samples.Where(s => s.Source == 1).CountBy(s => s.Row), row => Assert.InRange(row.Value, 6, 7));
        // The mixture is no fixed pattern.
        Assert.NotEqual(samples[..1024].Select(s => s.Source), samples[1024..2048].Select(s => s.Source));
    }

    [Fact]
    public void Sources_that_cannot_give_rows_are_refused()
    {
        using var folder = new TemporaryFolder();
        using TokenShards shards = TokenShards.Open(Prepare(folder, "data", 99, 64));
        void Refused(string reason, int length, params (TokenShards, double)[] sources) => Assert.Contains(reason, Assert.Throws<GlmException>(() => new TokenRows(sources, length, 0)).Message);
        Refused("found none", 10);
        Refused("found 100 ids", 101, (shards, 1));
        Refused("positive weight", 10, (shards, 0));
        Refused("positive weight", 10, (shards, double.NaN));
        Refused("positive row length", 0, (shards, 1));
    }
}
